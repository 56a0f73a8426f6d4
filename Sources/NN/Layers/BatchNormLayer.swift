import Compute

/// Batch normalization (Ioffe & Szegedy 2015) with PyTorch's constants.
///
/// ```swift
/// let store = ParameterStore()
/// let norm = BatchNormLayer(store.root / "bn1", channels: 16)
/// try store.allocate(on: backend, seed: 1)
/// func normalized(_ x: Variable, _ pass: Pass) throws -> Variable { try norm(x, relu: true, pass) }
/// ```
public struct BatchNormLayer {
  /// Name in torchvision, for example `layer1.0.bn1`.
  public let name: String
  /// Trained parameters and running statistics, all [C].
  public let scale, bias, runningMean, runningVariance: Parameter
  /// Whether it normalizes by the running statistics in training too.
  var isFrozen: Bool { scale.isFrozen }
  /// Number that is added to the variance.
  public let epsilon = 1e-5
  /// Weight of the newest batch in the running statistics.
  public let momentum = 0.1

  /// Declares `weight`, `bias`, `running_mean` and `running_var`.
  public init(_ scope: Scope, channels: Int, initialScale: Double = 1) {
    name = scope.path
    scale = scope.declare("weight", [channels], .vector, .constant(initialScale))
    bias = scope.declare("bias", [channels], .vector, .constant(0))
    runningMean = scope.declare("running_mean", [channels], .estimate, .constant(0))
    runningVariance = scope.declare("running_var", [channels], .estimate, .constant(1))
  }

  /// Normalizes x [..., C] to y of the same shape, then adds the residual, then applies ReLU if requested.
  /// - Parameters:
  ///   - overwritingInput: whether nothing else reads x, so that its memory may be used for y or for its gradient.
  ///   - statistics: statistics of x, if the preceding convolution has already computed them.
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
