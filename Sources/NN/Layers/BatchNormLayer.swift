import Compute

/// Batch normalisation (Ioffe & Szegedy 2015) with PyTorch's constants.
public struct BatchNormLayer {
  /// torchvision's, for example `layer1.0.bn1`.
  public let name: String
  /// All [C].
  public let scale, bias, runningMean, runningVariance: Parameter
  /// Whether it normalises by the running estimates in training too.
  var isFrozen: Bool { scale.isFrozen }
  /// Added to the variance.
  public let epsilon = 1e-5
  /// The weight of the newest batch in the running estimates.
  public let momentum = 0.1

  /// Declares `weight`, `bias`, `running_mean` and `running_var`.
  public init(_ scope: Scope, channels: Int, initialScale: Double = 1) {
    name = scope.path
    scale = scope.declare("weight", [channels], .vector, .constant(initialScale))
    bias = scope.declare("bias", [channels], .vector, .constant(0))
    runningMean = scope.declare("running_mean", [channels], .estimate, .constant(0))
    runningVariance = scope.declare("running_var", [channels], .estimate, .constant(1))
  }

  /// x [..., C] → y of the same shape: the normalised x, plus the residual, then ReLU where asked.
  /// - Parameters:
  ///   - overwritingInput: nothing else reads x, so that its memory may be used for y or for its gradient.
  ///   - statistics: of x, where the convolution before has taken them already.
  public func callAsFunction(
    _ x: Variable, residual: Variable? = nil, relu: Bool = false, overwritingInput: Bool = false,
    statistics: BatchNormChannels? = nil, _ pass: Pass
  ) throws -> Variable {
    try pass.layer(name) {
      try pass.batchNorm(
        x, self, residual: residual, relu: relu, overwritingInput: overwritingInput, statistics: statistics)
    }
  }
}
