import Glibc

/// Regular file, open for reading at any position. It is closed when the lifetime of the value ends.
public struct InputFile: ~Copyable, Sendable {
  /// Path as the caller gave it.
  public let path: String
  /// Size in bytes when the file was opened.
  public let byteCount: Int
  private let descriptor: Int32

  /// Opens a file for reading.
  /// - Throws: a ``Failure`` that names the file if it is missing, unreadable, a folder or a device.
  public init(_ path: String) throws {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw Self.isText(path)
        ? systemFailure("cannot open \(path)") : Failure(.unsupported, "cannot open \(path): its name is not in UTF-8, rename it")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "it is a folder" : "it is not a regular file"
      throw Failure(.inputOutput, "cannot read \(path): \(kind)")
    }
    self.path = path
    self.descriptor = descriptor
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Calls `body` with the descriptor of the open file, for C libraries that read from one.
  package func withDescriptor<Result>(_ body: (Int32) throws -> Result) rethrows -> Result { try body(descriptor) }

  /// Whether a path is exactly the system's path; false if that is not UTF-8, so that a replacement character stands in it.
  public static func isText(_ path: String) -> Bool { !path.unicodeScalars.contains("\u{FFFD}") }

  /// Whether anything, of any kind, exists at this path.
  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Whether a folder, or a link to one, exists at this path.
  public static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Returns the size of a file in bytes, and the time when it was last changed, in nanoseconds since 1970; nil if there is no file.
  package static func stamp(_ path: String) -> (byteCount: Int, time: Int)? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return (Int(status.st_size), status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec)
  }

  /// Whether both paths lead to the same file.
  public static func areSame(_ path: String, _ other: String) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(path, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }

  /// Returns `count` bytes, starting at `offset`.
  /// - Throws: a ``Failure`` if the disk fails or the file has become shorter.
  public func read(_ count: Int, at offset: Int) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
        let received = pread(descriptor, rest.baseAddress, rest.count, offset + filled)
        if received < 0 && errno == EINTR { continue }
        guard received >= 0 else { throw systemFailure("cannot read \(path)") }
        guard received > 0 else { throw Failure(.damagedFile, "cannot read \(path): it ends at byte \(offset + filled)") }
        filled += received
      }
    }
  }

  /// Returns the contents of the whole file.
  public func read() throws -> [UInt8] { try read(byteCount, at: 0) }
}
