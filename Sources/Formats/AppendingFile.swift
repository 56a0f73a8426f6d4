import Compute
import Glibc

/// A file that grows line by line, each handed to the system at once.
public final class AppendingFile {
  private let output: AtomicFile.Output

  /// Opens an existing file at its end.
  /// - Throws: a ``Failure`` that names the file and the system's reason.
  public init(_ path: String) throws {
    let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure("cannot write \(path): \(systemMessage())") }
    output = AtomicFile.Output(descriptor: descriptor, path: path)
  }

  deinit { close(output.descriptor) }

  /// - Throws: a ``Failure`` that names the file and the system's reason; a part of the line may be written then.
  public func write(line: String) throws { try Array("\(line)\n".utf8).withUnsafeBytes(output.write) }
}
