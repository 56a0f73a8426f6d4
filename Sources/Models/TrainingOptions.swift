import Compute
import NN

/// Training options that affect the memory that training needs.
///
/// ```swift
/// let network = ModelConfiguration(name: "resnet50", classes: 10)
/// let summary = try Summary(network, images: [64, 224, 224, 3], TrainingOptions(recompute: true, precision: .bf16))
/// ```
public struct TrainingOptions: Hashable, Codable, Sendable {
  /// Whether activations are recomputed instead of kept (activation checkpointing); see
  /// ``ResNet/callAsFunction(_:_:recompute:skipping:)``.
  public var recompute: Bool
  /// Storage precision of activations.
  public var precision: Precision
  /// Options of the optimizer.
  public var optimizer: Optimizer.Options
  /// Names of layers that stay as they are; see ``ParameterStore/freeze(_:)``.
  public var frozen: [String]
  /// Whether a moving average (EMA) of the weights is kept; see ``WeightAverage``.
  public var averages: Bool
  /// Whether slow weights are kept; see ``Lookahead``.
  public var looksAhead: Bool
  /// Whether batches skip blocks; see ``StochasticDepth``.
  public var skipsBlocks: Bool
  /// Whether the classes have weights in the loss; see
  /// ``LossOperations/weightedCrossEntropy(_:labels:weights:totals:smoothing:metrics:gradient:lossScale:)``.
  public var weighsClasses: Bool
  /// Whether steps with numbers that are not finite are left out; see ``StepGuard``.
  public var guardsSteps: Bool

  public init(
    recompute: Bool = false, precision: Precision = .fp32, optimizer: Optimizer.Options = Optimizer.Options(),
    frozen: [String] = [], averages: Bool = false, weighsClasses: Bool = false, looksAhead: Bool = false,
    skipsBlocks: Bool = false, guardsSteps: Bool = false
  ) {
    self.recompute = recompute
    self.precision = precision
    self.optimizer = optimizer
    self.frozen = frozen
    self.averages = averages
    self.weighsClasses = weighsClasses
    self.looksAhead = looksAhead
    self.skipsBlocks = skipsBlocks
    self.guardsSteps = guardsSteps
  }
}
