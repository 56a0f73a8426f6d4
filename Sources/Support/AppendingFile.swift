import Glibc

/// A file to which lines or records are appended. Each of them is handed to the operating system at once.
public final class AppendingFile {
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
  /// - Throws: a ``Failure`` that names the file and the system's reason. A part of the line may have been written by then.
  public func write(line: String) throws { try write(Array("\(line)\n".utf8)) }

  /// Appends bytes.
  /// - Throws: a ``Failure`` that names the file and the system's reason. A part of the bytes may have been written by then.
  public func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes(output.write) }
}
