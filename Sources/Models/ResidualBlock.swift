import Compute
import NN

/// A part of a network: x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K].
protocol Block {
  /// Name that its parameters begin with, for example `layer1.0`.
  var name: String { get }
  /// First and last of the trained parameters that ``bypass(_:_:)`` leaves out. All of them are consecutive.
  var branch: (first: Parameter, last: Parameter) { get }
  /// Weights by which the branch is multiplied last: multiplied by a factor, they multiply the branch by it.
  var lastWeights: [Parameter] { get }
  func callAsFunction(_ x: Variable, _ pass: Pass) throws -> Variable
  /// Computes what the block is without its branch: the shortcut alone, and ReLU where it comes last.
  /// - Precondition: the block has a shortcut.
  func bypass(_ x: Variable, _ pass: Pass) throws -> Variable
  /// Passes the block's layers to a writer.
  func write<Writer: NetworkWriter>(_ x: Writer.Value, to writer: inout Writer) throws -> Writer.Value
}

/// Two or three convolutions and a shortcut around them: y = ReLU(F(x) + shortcut(x)), or ReLU(F(x)) in a plain network.
struct ResidualBlock: Block {
  enum Shortcut {
    /// No shortcut, as in the plain counterpart.
    case none
    case identity
    /// Padding, option A.
    case padding(stride: Int, channels: Int)
    /// Projection, options B and C.
    case projection(ConvolutionUnit)
  }

  /// Properties that distinguish one block of a network from another.
  struct Plan {
    var kind: Architecture.Block
    /// Number of channels of the 3×3 convolutions, and of the block's result.
    var width, outputs: Int
    /// Number of groups of a bottleneck's 3×3 convolution.
    var groups: Int
    var inputs, stride: Int
    /// Type of the shortcut; nil for none.
    var shortcut: ShortcutOption?
    var stridePlacement: StridePlacement
    var lastScale: Double
    var normalization: BlockNormalization

    /// Whether x itself is the shortcut.
    var hasIdentityShortcut: Bool { stride == 1 && inputs == outputs && shortcut != .projectionEverywhere }

    /// Returns the scope of a batch normalization; nil if there is none.
    func norm(_ scope: Scope) -> Scope? { normalization == .batch ? scope : nil }

    /// Window, output channels, stride and groups of each convolution.
    var convolutions: [(window: Int, outputs: Int, stride: Int, groups: Int)] {
      switch (kind, stridePlacement) {
      case (.basic, _): [(3, width, stride, 1), (3, width, 1, 1)]
      case (.bottleneck, .threeByThree): [(1, width, 1, 1), (3, width, stride, groups), (1, outputs, 1, 1)]
      case (.bottleneck, .firstOneByOne): [(1, width, stride, 1), (3, width, 1, groups), (1, outputs, 1, 1)]
      }
    }
  }

  let name: String
  let units: [ConvolutionUnit]
  let shortcut: Shortcut

  init(_ scope: Scope, _ plan: Plan) {
    var (units, inputs) = ([ConvolutionUnit](), plan.inputs)
    let convolutions = plan.convolutions
    for (index, (window, outputs, stride, groups)) in convolutions.enumerated() {
      let number = index + 1
      units.append(
        ConvolutionUnit(
          scope / "conv\(number)", plan.norm(scope / "bn\(number)"), inputs: inputs, outputs: outputs, window: window,
          stride: stride,
          groups: groups, initialScale: number == convolutions.count ? plan.lastScale : 1))
      inputs = outputs
    }
    name = scope.path
    self.units = units
    shortcut = Self.shortcut(scope / "downsample", plan)
  }

  private static func shortcut(_ scope: Scope, _ plan: Plan) -> Shortcut {
    guard let option = plan.shortcut else { return .none }
    if plan.hasIdentityShortcut { return .identity }
    switch option {
    case .padding:
      return .padding(stride: plan.stride, channels: plan.outputs)
    case .projection, .projectionEverywhere:
      return .projection(
        ConvolutionUnit(
          scope / "0", plan.norm(scope / "1"), inputs: plan.inputs, outputs: plan.outputs, window: 1, stride: plan.stride))
    }
  }

  /// Maps x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K].
  func callAsFunction(_ x: Variable, _ pass: Pass) throws -> Variable {
    // The shortcut runs first. In the backward pass, the first convolution therefore writes the gradient with respect to x, and
    // the shortcut's gradient, which covers only some of the pixels, is added to it.
    let shortcut = try residual(x, pass)
    var y = x
    for unit in units.dropLast() { y = try unit(y, relu: true, pass) }
    return try units[units.count - 1](y, residual: shortcut, relu: true, pass)
  }

  var branch: (first: Parameter, last: Parameter) {
    (units[0].convolution.filter, lastWeights[lastWeights.count - 1])
  }

  var lastWeights: [Parameter] { units[units.count - 1].lastWeights }

  func bypass(_ x: Variable, _ pass: Pass) throws -> Variable {
    if case .projection(let unit) = shortcut { return try unit(x, relu: true, pass) }
    // x is the result of a ReLU, or the largest of such results: another ReLU would change neither it nor its gradient.
    guard let y = try residual(x, pass) else { preconditionFailure("[ResidualBlock] \(name) has no shortcut") }
    return y
  }

  private func residual(_ x: Variable, _ pass: Pass) throws -> Variable? {
    switch shortcut {
    case .none: nil
    case .identity: x
    case .padding(let stride, let channels):
      try pass.layer("\(name).shortcut") { try pass.padShortcut(x, stride: stride, channels: channels) }
    case .projection(let unit): try unit(x, relu: false, pass)
    }
  }
}
