import Compute

/// A convolution and the batch normalization of its result: the building block of residual networks.
///
/// ```swift
/// let store = ParameterStore()
/// let unit = ConvolutionUnit(store.root / "conv1", store.root / "bn1", inputs: 3, outputs: 16, window: 3, stride: 2)
/// try store.allocate(on: backend, seed: 1)
/// func features(_ images: Variable, _ pass: Pass) throws -> Variable { try unit(images, relu: true, pass) }
/// ```
public struct ConvolutionUnit {
  /// Convolution without a bias.
  public let convolution: Conv2DLayer
  /// Batch normalization of the convolution's result.
  public let norm: BatchNormLayer

  /// Declares the two layers in their own scopes.
  public init(
    _ convolutionScope: Scope, _ normScope: Scope, inputs: Int, outputs: Int, window: Int, stride: Int = 1,
    groups: Int = 1, initialScale: Double = 1
  ) {
    convolution = Conv2DLayer(convolutionScope, inputs: inputs, outputs: outputs, window: window, stride: stride, groups: groups)
    norm = BatchNormLayer(normScope, channels: outputs, initialScale: initialScale)
  }

  /// Maps x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K]. The residual has y's shape and is added before ReLU. In
  /// inference, all of this is one fused operation. It is also fused in training if both layers are frozen and no gradient goes
  /// through them.
  public func callAsFunction(
    _ x: Variable, residual: Variable? = nil, relu: Bool, _ pass: Pass
  ) throws -> Variable {
    let isFixed = convolution.filter.isFrozen && norm.isFrozen && x.slot == nil && residual?.slot == nil
    guard pass.mode == .inference || isFixed else {
      let (y, statistics) = try convolution(x, before: norm, pass)
      return try norm(y, residual: residual, relu: relu, overwritingInput: true, statistics: statistics, pass)
    }
    return try pass.layer(convolution.name) {
      try pass.foldedConvolution(x, convolution, norm, residual: residual, relu: relu)
    }
  }
}
