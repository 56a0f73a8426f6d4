import Compute

/// A convolution and the batch normalisation of its result: what residual networks are made of.
public struct ConvolutionUnit {
  /// Without a bias.
  public let convolution: Conv2DLayer
  /// Of its result.
  public let norm: BatchNormLayer

  /// Declares the two layers in their own scopes.
  public init(
    _ convolutionScope: Scope, _ normScope: Scope, inputs: Int, outputs: Int, window: Int, stride: Int = 1,
    groups: Int = 1, initialScale: Double = 1
  ) {
    convolution = Conv2DLayer(convolutionScope, inputs: inputs, outputs: outputs, window: window, stride: stride, groups: groups)
    norm = BatchNormLayer(normScope, channels: outputs, initialScale: initialScale)
  }

  /// x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K]; the residual, of y's shape, is added before ReLU. In inference all of it is one
  /// operation, and so it is in training where both layers are frozen and no gradient goes through them.
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
