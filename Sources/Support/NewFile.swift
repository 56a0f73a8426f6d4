import Glibc

/// Creates files under names that nothing has yet. An existing file is never touched.
package enum NewFile {
  /// Writes a new file.
  /// - Returns: false if the name is taken.
  /// - Throws: a ``Failure`` if it cannot be written; nothing is left of it then.
  package static func write(_ bytes: [UInt8], to path: String) throws -> Bool {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      if errno == EEXIST { return false }
      throw systemFailure("cannot write \(path)")
    }
    var isOpen = true
    do {
      try bytes.withUnsafeBytes(AtomicFile.Output(descriptor: descriptor, path: path).write)
      isOpen = false
      guard close(descriptor) == 0 else { throw systemFailure("cannot write \(path)") }
    } catch {
      if isOpen { close(descriptor) }
      unlink(path)
      throw error
    }
    return true
  }

  /// Makes a symbolic link to the file that a path leads to. The link holds the whole path, so it may be moved.
  /// - Returns: false if the name is taken, unless a link to the same file has it already.
  /// - Throws: a ``Failure`` if there is no such file, or the link cannot be made.
  package static func link(to target: String, at path: String) throws -> Bool {
    let real = try resolved(target)
    if symlink(real, path) == 0 { return true }
    guard errno == EEXIST else { throw systemFailure("cannot make the link \(path)") }
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count)
    return count >= 0 && buffer[..<count].elementsEqual(real.utf8.map { CChar(bitPattern: $0) })
  }
}

extension InputFile {
  /// Whether a path leads to a folder or into it, whether the path's own end exists or not.
  package static func leads(_ path: String, into folder: String) -> Bool {
    guard let folder = try? resolved(folder) else { return false }
    var (begin, rest) = (path, "")
    // The part that exists is resolved; what follows it has no links.
    while !exists(begin) {
      guard let slash = begin.utf8.lastIndex(of: UInt8(ascii: "/")) else {
        (begin, rest) = (".", "/\(begin)\(rest)")
        break
      }
      (begin, rest) = (slash == begin.startIndex ? "/" : String(begin[..<slash]), String(begin[slash...]) + rest)
    }
    guard let real = try? resolved(begin) else { return false }
    return "\(real)\(rest)/".utf8.starts(with: "\(folder == "/" ? "" : folder)/".utf8)
  }
}

/// Returns the absolute path that a path leads to, without symbolic links.
/// - Throws: a ``Failure`` if nothing is there.
private func resolved(_ path: String) throws -> String {
  guard let real = realpath(path, nil) else { throw systemFailure("cannot find \(path)") }
  defer { free(real) }
  return String(cString: real)
}
