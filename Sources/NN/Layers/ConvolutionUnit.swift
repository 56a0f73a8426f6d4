import Compute

/// A convolution and the batch normalization of its result, or a convolution with a bias: the building block of residual networks.
///
/// ```swift
/// let store = ParameterStore()
/// let unit = ConvolutionUnit(store.root / "conv1", store.root / "bn1", inputs: 3, outputs: 16, window: 3, stride: 2)
/// try store.allocate(on: backend, seed: 1)
/// func features(_ images: Variable, _ pass: Pass) throws -> Variable { try unit(images, relu: true, pass) }
/// ```
public struct ConvolutionUnit {
  /// Convolution, which has a bias if there is no normalization.
  public let convolution: Conv2DLayer
  /// Batch normalization of the convolution's result; nil for none.
  public let norm: BatchNormLayer?

  /// Declares the layers in their own scopes.
  /// - Parameter normScope: scope of the batch normalization; nil for a convolution with a bias.
  public init(
    _ convolutionScope: Scope, _ normScope: Scope?, inputs: Int, outputs: Int, window: Int, stride: Int = 1,
    groups: Int = 1, initialScale: Double = 1
  ) {
    convolution = Conv2DLayer(
      convolutionScope, inputs: inputs, outputs: outputs, window: window, stride: stride, groups: groups,
      hasBias: normScope == nil)
    norm = normScope.map { BatchNormLayer($0, channels: outputs, initialScale: initialScale) }
  }

  /// Weights that, multiplied by a factor, multiply the result by it: the scale and the bias of the normalization, or the filter
  /// and the bias of the convolution.
  public var lastWeights: [Parameter] {
    norm.map { [$0.scale, $0.bias] } ?? [convolution.filter] + [convolution.bias].compactMap { $0 }
  }

  /// Maps x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K]. The residual has y's shape and is added before ReLU. In
  /// inference, all of this is one fused operation. It is also fused in training if both layers are frozen and no gradient goes
  /// through them.
  public func callAsFunction(
    _ x: Variable, residual: Variable? = nil, relu: Bool, _ pass: Pass
  ) throws -> Variable {
    if let observe = pass.onResponse { return try observed(x, residual: residual, relu: relu, pass, observe) }
    let isFixed = convolution.filter.isFrozen && (norm?.isFrozen ?? true) && x.slot == nil && residual?.slot == nil
    guard pass.mode == .inference || isFixed else { return try separate(x, residual: residual, relu: relu, pass) }
    return try pass.layer(convolution.name) {
      try pass.foldedConvolution(x, convolution, norm, residual: residual, relu: relu)
    }
  }

  /// Maps x → y by a convolution, and then by the normalization or the bias, residual and ReLU.
  private func separate(_ x: Variable, residual: Variable?, relu: Bool, _ pass: Pass) throws -> Variable {
    if let norm {
      let (y, statistics) = try convolution(x, before: norm, pass)
      return try norm(y, residual: residual, relu: relu, overwritingInput: true, statistics: statistics, pass)
    }
    let y = try convolution(x, pass)
    guard let bias = convolution.bias else { preconditionFailure("[ConvolutionUnit] neither bias nor normalization") }
    return try pass.layer(convolution.name) { try pass.addBias(y, bias, residual: residual, relu: relu) }
  }

  /// Maps x → y in steps, and shows the response and the activation to an observer.
  private func observed(
    _ x: Variable, residual: Variable?, relu: Bool, _ pass: Pass, _ observe: Pass.ResponseObserver
  ) throws -> Variable {
    let response = try separate(x, residual: nil, relu: false, pass)
    try observe(convolution.name, .response, response.value)
    if residual == nil && !relu { return response }
    let y = try residual.map { try pass.add(response, $0, relu: relu) } ?? pass.relu(response)
    try observe(convolution.name, .activation, y.value)
    return y
  }
}
