import Glibc

/// Standard input of the process.
public enum StandardInput {
  /// Reads to the end.
  /// - Parameter limit: maximum number of bytes.
  /// - Throws: a ``Failure`` if it cannot be read, or if there is more.
  public static func read(atMost limit: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(STDIN_FILENO, &part, part.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw systemFailure("cannot read standard input") }
      if count == 0 { return bytes }
      guard bytes.count + count <= limit else {
        throw Failure(.unsupported, about: "standard input", "more than \(limit) bytes, which is the bound")
      }
      bytes += part[..<count]
    }
  }
}
