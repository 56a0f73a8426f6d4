import Glibc
import Support

/// File in the cache of a device that tells that a process has begun to use the device's driver.
///
/// The process removes the file when its kernels have run, or when it ends in order. A driver that ends the process, as some do if
/// files of their own cache are damaged, leaves it there. The file is locked as long as its process lives.
package final class StartMarker: Sendable {
  /// Beginning of the names of these files; the number of the process follows.
  static let prefix = "starting-"

  package let path: String
  private let descriptor: Int32

  private init(_ path: String, _ descriptor: Int32) { (self.path, self.descriptor) = (path, descriptor) }

  deinit {
    Self.remove(path)
    close(descriptor)
  }

  /// Makes the file of this process. It gets its name when it is locked, so that no other process takes it for a file that is left.
  /// - Returns: nil if it is there, or cannot be made or locked. In the latter cases nothing can be told about this process later.
  package static func place(in cache: DeviceCache) -> StartMarker? {
    guard cache.canKeep else { return nil }
    let path = "\(cache.path)/\(prefix)\(getpid())"
    let draft = "\(cache.path)/.tmp-\(String(UInt64.random(in: 0...UInt64.max), radix: 16))"
    let descriptor = open(draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { return nil }
    defer { unlink(draft) }
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0, link(draft, path) == 0 { return StartMarker(path, descriptor) }
    close(descriptor)
    return nil
  }

  /// Returns the paths of files whose processes are dead.
  package static func left(in cache: DeviceCache) -> [String] {
    // A folder that is missing or cannot be read has none. Reading its other files tells why.
    guard let names = try? Folder.entries(cache.path) else { return [] }
    return names.filter { $0.hasPrefix(prefix) }.map { "\(cache.path)/\($0)" }.filter(isLeft)
  }

  /// Removes a file. Another process may have removed it first.
  package static func remove(_ path: String) { unlink(path) }

  private static func isLeft(_ path: String) -> Bool {
    let descriptor = open(path, O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_EX | LOCK_NB) == 0
  }
}
