/// Decisions about whole steps of training, which the device makes, so that no step waits for the host.
public protocol GuardOperations {
  /// Decides whether a step of training is taken. flags [``GuardFlags/count``], scale [``LossScale/count``], metrics [3];
  /// statistics and gradients of any shape.
  ///
  /// The step is at fault if Σ loss, the first element of metrics, or a running statistic is a NaN or an infinity, or if a
  /// gradient is although the loss scale does not enlarge it (current ≤ 1). After `limit` steps at fault in a row the guard is
  /// closed for good. A step is left out if it is at fault, and if the guard was closed before. Then Σ loss becomes NaN, and the
  /// scale says that gradients are not finite, so that no optimizer uses them, and counts one more step as skipped, if it did not
  /// say so before.
  /// - Parameters:
  ///   - scale: loss scale of the gradients. Without a dynamic one it is constant, ``LossScale/constant``.
  ///   - gradients: the gradients to check; nil if ``OptimizerOperations/updateLossScale(_:gradients:)`` has checked them.
  func guardStep(
    _ flags: Tensor, scale: Tensor, metrics: Tensor, statistics: Tensor, gradients: Tensor?, limit: Int) throws
  /// Copies all elements of x to y, of equal count, if flags[index] is not 0.
  func copyIf(_ flags: Tensor, at index: Int, _ x: Tensor, into y: Tensor) throws
}

extension OperationContract {
  /// Contract of ``GuardOperations/guardStep(_:scale:metrics:statistics:gradients:limit:)``.
  package static func guardStep(
    _ flags: Tensor, scale: Tensor, metrics: Tensor, statistics: Tensor, gradients: Tensor?, limit: Int
  ) -> Self {
    require(limit > 0, "guardStep", "a limit of \(limit)")
    return Self(
      "guardStep", statistics.shape.description([(gradients == nil, "scaled")]),
      workspace: .guardStep(statistics: statistics.count, gradients: gradients?.count),
      [.read("statistics", statistics, statistics.shape, .scalar, .onFirstDevice)]
        + (gradients.map { [.read("gradients", $0, $0.shape, .scalar, .onFirstDevice)] } ?? []) + [
          .update("flags", flags, [GuardFlags.count], .scalar, .onFirstDevice),
          .update("scale", scale, [LossScale.count], .scalar, .onFirstDevice),
          .update("metrics", metrics, [3], .scalar, .onFirstDevice),
        ]
    ) {
      try $0.guardStep(
        $1["flags"], scale: $1["scale"], metrics: $1["metrics"], statistics: $1["statistics"],
        gradients: $1.optional("gradients"), limit: limit)
    }
  }

  /// Contract of ``GuardOperations/copyIf(_:at:_:into:)``.
  package static func copyIf(_ flags: Tensor, at index: Int, _ x: Tensor, into y: Tensor) -> Self {
    require(flags, rank: 1, "copyIf", "flags")
    require(index >= 0 && index < flags.count, "copyIf", "element \(index) of \(flags.shape)")
    return Self(
      "copyIf", "\(x.shape)",
      [
        .read("flags", flags, flags.shape, .scalar, .onFirstDevice), .read("x", x, y.shape, .scalar, .onFirstDevice),
        .update("y", y, y.shape, .scalar, .onFirstDevice),
      ]
    ) { try $0.copyIf($1["flags"], at: index, $1["x"], into: $1["y"]) }
  }
}

extension ContractBackend {
  public func guardStep(
    _ flags: Tensor, scale: Tensor, metrics: Tensor, statistics: Tensor, gradients: Tensor?, limit: Int
  ) throws {
    try perform(
      .guardStep(flags, scale: scale, metrics: metrics, statistics: statistics, gradients: gradients, limit: limit))
  }

  public func copyIf(_ flags: Tensor, at index: Int, _ x: Tensor, into y: Tensor) throws {
    try perform(.copyIf(flags, at: index, x, into: y))
  }
}
