/// Something a user can cause and mend: what went wrong, where, and what to do, in one line.
public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  /// A device whose memory is used up.
  /// - Parameters:
  ///   - wanted: the bytes of the block that cannot be had.
  ///   - reason: what the driver says, if it was the driver that refused.
  ///   - advice: tells how the limit is raised; nil where nothing is known.
  public static func outOfMemory(
    wanted: Int, _ use: MemoryUse, limit: Int, reason: String? = nil, advice: String? = nil
  ) -> Failure {
    Failure(
      "out of device memory: \(rounded(bytes: wanted)) more are wanted, \(rounded(bytes: use.bytesHeld)) of \(rounded(bytes: limit)) are taken"
        + (reason.map { " (\($0))" } ?? "") + ": use a smaller --batch-size or model" + (advice.map { "; \($0)" } ?? ""))
  }
}

/// Bytes for a message, rounded up, for example `27 MB` or `16 GB`.
public func rounded(bytes: Int) -> String {
  let (unit, name) = bytes >= 10_000_000_000 ? (1_000_000_000, "GB") : (1_000_000, "MB")
  return "\(bytes / unit + (bytes % unit == 0 ? 0 : 1)) \(name)"
}
