import Compute
import NN

/// How a network is trained, as far as it decides what memory that takes.
public struct TrainingOptions: Hashable, Codable, Sendable {
  /// Whether activations are computed again instead of being kept; see ``ResNet/callAsFunction(_:_:recompute:)``.
  public var recompute: Bool
  /// How activations are stored.
  public var precision: Precision
  /// How weights follow gradients.
  public var optimiser: Optimiser.Options
  /// Layers that stay as they are; see ``ParameterStore/freeze(_:)``.
  public var frozen: [String]
  /// Whether a moving average of the weights is kept; see ``WeightAverage``.
  public var averages: Bool

  public init(
    recompute: Bool = false, precision: Precision = .fp32, optimiser: Optimiser.Options = Optimiser.Options(),
    frozen: [String] = [], averages: Bool = false
  ) {
    self.recompute = recompute
    self.precision = precision
    self.optimiser = optimiser
    self.frozen = frozen
    self.averages = averages
  }
}
