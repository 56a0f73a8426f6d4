import NN
import Support

/// Optimizer of a run with its settings.
///
/// ```swift
/// var optimizer = OptimizerSettings.adamW(learningRate: 1e-3)
/// optimizer.weightDecay = 0.05
/// ```
public struct OptimizerSettings: Hashable, Codable, Sendable {
  /// Rule by which weights follow gradients.
  public let kind: Optimizer.Kind
  /// Learning rate after warm-up, at least 0.
  public var learningRate: Double
  /// Weight decay, at least 0. For ``Optimizer/Kind/sgd`` it is the factor of ‖w‖²/2 in the loss, over all parameters. For
  /// ``Optimizer/Kind/adamW``, multiplied by the learning rate, it is the share by which all parameters shrink in a step. For
  /// ``Optimizer/Kind/lars`` it is as for SGD, but only for filters and matrices.
  public var weightDecay: Double
  /// Momentum in 0 ..< 1, see ``SGDRule``; nil for ``Optimizer/Kind/adamW``, which has none.
  public var momentum: Double?
  /// Whether to use Nesterov momentum, which needs a momentum above 0.
  public var nesterov: Bool

  private init(
    _ kind: Optimizer.Kind, learningRate: Double, weightDecay: Double, momentum: Double? = nil, nesterov: Bool = false
  ) {
    (self.kind, self.learningRate, self.weightDecay) = (kind, learningRate, weightDecay)
    (self.momentum, self.nesterov) = (momentum, nesterov)
  }

  /// Stochastic gradient descent. The defaults suit batches of about a hundred images.
  public static func sgd(
    learningRate: Double = 0.1, momentum: Double = 0.9, nesterov: Bool = false, weightDecay: Double = 5e-4
  ) -> OptimizerSettings {
    OptimizerSettings(.sgd, learningRate: learningRate, weightDecay: weightDecay, momentum: momentum, nesterov: nesterov)
  }

  /// Adam with decoupled weight decay. The defaults are PyTorch's.
  public static func adamW(learningRate: Double = 1e-3, weightDecay: Double = 1e-2) -> OptimizerSettings {
    OptimizerSettings(.adamW, learningRate: learningRate, weightDecay: weightDecay)
  }

  /// SGD with a learning rate for each layer, for batches of thousands. The default rate follows You et al., who train ResNet-50
  /// with batches of 8,192 at 6.4 · 0.001 times the norm.
  public static func lars(
    learningRate: Double = 6.4, momentum: Double = 0.9, nesterov: Bool = false, weightDecay: Double = 5e-4
  ) -> OptimizerSettings {
    OptimizerSettings(.lars, learningRate: learningRate, weightDecay: weightDecay, momentum: momentum, nesterov: nesterov)
  }

  /// Returns an optimizer with its default settings.
  public static func usual(_ kind: Optimizer.Kind) -> OptimizerSettings {
    switch kind {
    case .sgd: .sgd()
    case .adamW: .adamW()
    case .lars: .lars()
    }
  }

  /// Checks all values.
  /// - Throws: ``Failure`` for the first value that makes no sense.
  func validate() throws {
    try demand(learningRate.isFinite && learningRate >= 0, .learningRate, learningRate, "it must be at least 0")
    if let momentum {
      try demand(kind != .adamW, .momentum, momentum, "AdamW has none")
      try demand(momentum >= 0 && momentum < 1, .momentum, momentum, "it must be at least 0 and below 1")
    }
    if nesterov, (momentum ?? 0) == 0 {
      throw Failure(.invalidSetting, "\(Setting.nesterov) needs a \(Setting.momentum) above 0")
    }
    try demand(weightDecay.isFinite && weightDecay >= 0, .weightDecay, weightDecay, "it must be at least 0")
  }
}
