import Support

extension Failure {
  /// Returns the error for a device whose memory is used up.
  /// - Parameters:
  ///   - wanted: size in bytes of the block that cannot be allocated.
  ///   - reason: the driver's message, if the driver refused.
  ///   - advice: tells how to raise the limit; nil if no way is known.
  public static func outOfMemory(
    wanted: Int, _ use: MemoryUse, limit: Int, reason: String? = nil, advice: String? = nil
  ) -> Failure {
    Failure(
      .outOfMemory,
      "out of device memory: \(rounded(bytes: wanted)) more are wanted, \(rounded(bytes: use.bytesHeld)) of "
        + "\(rounded(bytes: limit)) are taken\(reason.map { " (\($0))" } ?? "")",
      remedy: "use a smaller \(Setting.batchSize) or model\(advice.map { "; \($0)" } ?? "")")
  }
}
