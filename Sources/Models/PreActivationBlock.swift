import Compute
import NN

/// A residual block whose convolutions follow batch normalization and ReLU, so that nothing alters x on the way: y = x + F(x) (He
/// et al. 2016, section 4). Where the shape changes, the shortcut also starts from the first ReLU, as in the authors' code.
struct PreActivationBlock: Block {
  enum Shortcut {
    case identity
    /// Padding, option A.
    case padding(stride: Int, channels: Int)
    /// Projection, options B and C, without batch normalization: the next block begins with one.
    case projection(Conv2DLayer)
  }

  let name: String
  let norm: BatchNormLayer
  /// Convolutions except the last, each with the normalization that precedes the next convolution.
  let units: [ConvolutionUnit]
  let last: Conv2DLayer
  let shortcut: Shortcut

  init(_ scope: Scope, _ plan: ResidualBlock.Plan) {
    let convolutions = plan.convolutions
    name = scope.path
    norm = BatchNormLayer(scope / "bn1", channels: plan.inputs)
    var (units, inputs) = ([ConvolutionUnit](), plan.inputs)
    for (index, (window, outputs, stride, groups)) in convolutions.dropLast().enumerated() {
      units.append(
        ConvolutionUnit(
          scope / "conv\(index + 1)", scope / "bn\(index + 2)", inputs: inputs, outputs: outputs, window: window,
          stride: stride, groups: groups))
      inputs = outputs
    }
    self.units = units
    let (window, outputs, stride, groups) = convolutions[convolutions.count - 1]
    last = Conv2DLayer(
      scope / "conv\(convolutions.count)", inputs: inputs, outputs: outputs, window: window, stride: stride, groups: groups)
    if plan.hasIdentityShortcut {
      shortcut = .identity
    } else if plan.shortcut == .padding {
      shortcut = .padding(stride: plan.stride, channels: plan.outputs)
    } else {
      shortcut = .projection(
        Conv2DLayer(scope / "downsample" / "0", inputs: plan.inputs, outputs: plan.outputs, window: 1, stride: plan.stride))
    }
  }

  /// With a shortcut that begins behind the first batch normalization, that layer is no part of the branch.
  var branch: (first: Parameter, last: Parameter) {
    if case .identity = shortcut { return (norm.scale, last.filter) }
    return (units[0].convolution.filter, last.filter)
  }

  var lastWeights: [Parameter] { [last.filter] }

  func bypass(_ x: Variable, _ pass: Pass) throws -> Variable {
    if case .identity = shortcut { return x }
    return try residual(x, activated: norm(x, relu: true, pass), pass)
  }

  private func residual(_ x: Variable, activated: Variable, _ pass: Pass) throws -> Variable {
    switch shortcut {
    case .identity: x
    case .padding(let stride, let channels):
      try pass.layer("\(name).shortcut") { try pass.padShortcut(activated, stride: stride, channels: channels) }
    case .projection(let convolution): try convolution(activated, pass)
    }
  }

  func callAsFunction(_ x: Variable, _ pass: Pass) throws -> Variable {
    let activated = try norm(x, relu: true, pass)
    // The shortcut runs first, for the reason given in ``ResidualBlock``.
    let residual = try residual(x, activated: activated, pass)
    var y = activated
    for unit in units { y = try unit(y, relu: true, pass) }
    y = try last(y, pass)
    return try pass.layer("\(name).add") { try pass.add(y, residual) }
  }
}
