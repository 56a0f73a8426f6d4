/// An error that the user can cause and fix. It says in one line what went wrong, where, and what to do.
public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }

  /// Returns the error for a device whose memory is used up.
  /// - Parameters:
  ///   - wanted: size in bytes of the block that cannot be allocated.
  ///   - reason: the driver's message, if the driver refused.
  ///   - advice: tells how to raise the limit; nil if no way is known.
  public static func outOfMemory(
    wanted: Int, _ use: MemoryUse, limit: Int, reason: String? = nil, advice: String? = nil
  ) -> Failure {
    Failure(
      "out of device memory: \(rounded(bytes: wanted)) more are wanted, \(rounded(bytes: use.bytesHeld)) of \(rounded(bytes: limit)) are taken"
        + (reason.map { " (\($0))" } ?? "") + ": use a smaller --batch-size or model" + (advice.map { "; \($0)" } ?? ""))
  }
}

/// Formats a number of bytes for a message, rounded up, for example `27 MB` or `16 GB`.
public func rounded(bytes: Int) -> String {
  let (unit, name) = bytes >= 10_000_000_000 ? (1_000_000_000, "GB") : (1_000_000, "MB")
  return "\(bytes / unit + (bytes % unit == 0 ? 0 : 1)) \(name)"
}
