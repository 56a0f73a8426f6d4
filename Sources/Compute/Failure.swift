/// Something a user can cause and mend: what went wrong, where, and what to do, in one line.
public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  /// A device whose memory is used up.
  /// - Parameters:
  ///   - wanted: the bytes of the block that cannot be had.
  ///   - reason: what the driver says, if it was the driver that refused.
  public static func outOfMemory(wanted: Int, _ use: MemoryUse, limit: Int, reason: String? = nil) -> Failure {
    Failure(
      "out of device memory: \(megabytes(wanted)) more are wanted, \(megabytes(use.bytesHeld)) of \(megabytes(limit)) are taken"
        + (reason.map { " (\($0))" } ?? "") + ": use a smaller --batch-size or model")
  }
}

/// Bytes in millions for a message, rounded up, for example `27 MB`.
public func megabytes(_ byteCount: Int) -> String {
  "\(byteCount / 1_000_000 + (byteCount % 1_000_000 == 0 ? 0 : 1)) MB"
}
