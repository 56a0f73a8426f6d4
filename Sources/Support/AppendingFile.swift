import Glibc

/// A file to which lines or records are appended. Each of them is handed to the operating system at once.
public final class AppendingFile: Sendable {
  private let output: AtomicFile.Output

  /// Opens an existing file for appending.
  /// - Throws: a ``Failure`` that names the file and the system's reason.
  public init(_ path: String) throws {
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard descriptor >= 0 else { throw systemFailure("cannot write \(path)") }
    output = AtomicFile.Output(descriptor: descriptor, path: path)
  }

  deinit { close(output.descriptor) }

  /// Appends a line and a line feed.
  /// - Throws: the errors of ``write(_:)``.
  public func write(line: String) throws { try write(Array("\(line)\n".utf8)) }

  /// Appends bytes.
  /// - Throws: a ``Failure`` that names the file and the system's reason. The file then ends where it ended before, as far as the
  ///   system can cut it.
  public func write(_ bytes: [UInt8]) throws {
    let end = lseek(output.descriptor, 0, SEEK_END)
    do { try bytes.withUnsafeBytes(output.write) } catch {
      if end >= 0 { _ = ftruncate(output.descriptor, end) }
      throw error
    }
  }

  /// Waits until all that was written is on the disk. Another thread may append meanwhile.
  /// - Throws: a ``Failure`` that names the file and the system's reason.
  package func synchronize() throws {
    guard fsync(output.descriptor) == 0 || errno == EINVAL || errno == ENOTSUP else {
      throw systemFailure("cannot write \(output.path)")
    }
  }
}
