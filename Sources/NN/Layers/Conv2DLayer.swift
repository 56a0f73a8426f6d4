import Compute

/// A convolution. It has no bias if batch normalization follows it.
///
/// ```swift
/// let store = ParameterStore()
/// let convolution = Conv2DLayer(store.root / "conv1", inputs: 3, outputs: 16, window: 3)
/// try store.allocate(on: backend, seed: 1)
/// func features(_ images: Variable, _ pass: Pass) throws -> Variable { try convolution(images, pass) }
/// ```
public struct Conv2DLayer {
  /// Name in torchvision, for example `layer1.0.conv1`.
  public let name: String
  /// Filter, [R,S,C/groups,K].
  public let filter: Parameter
  /// Bias [K]; nil for none. ``ConvolutionUnit`` adds it.
  public let bias: Parameter?
  /// Distance between windows, and zero padding on every side. Both are in pixels and apply to height and width.
  public let stride, padding: Int
  /// Number of groups into which the channels of x and y are divided. Each group of y is computed from one group of x; 1 means an
  /// ordinary convolution.
  public let groups: Int

  /// Declares `weight`, and `bias`, which starts at zero. The padding keeps the image's size at stride 1 if the window is odd.
  public init(
    _ scope: Scope, inputs: Int, outputs: Int, window: Int, stride: Int = 1, groups: Int = 1, hasBias: Bool = false
  ) {
    precondition(inputs % groups == 0 && outputs % groups == 0, "[Conv2DLayer] \(inputs) → \(outputs) in \(groups) groups")
    let shape: Shape = [window, window, inputs / groups, outputs]
    name = scope.path
    filter = scope.declare("weight", shape, .filter, .he(filter: shape))
    bias = hasBias ? scope.declare("bias", [outputs], .vector, .constant(0)) : nil
    (self.stride, self.groups) = (stride, groups)
    padding = window / 2
  }

  /// Number of channels of x.
  public var inputs: Int { filter.shape[2] * groups }

  /// Convolves x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K]. Also returns the statistics that a batch normalization of y
  /// needs.
  func callAsFunction(_ x: Variable, before norm: BatchNormLayer, _ pass: Pass) throws -> (
    y: Variable, statistics: BatchNormChannels?
  ) {
    try pass.layer(name) {
      try pass.convolution(x, filter: filter, stride: stride, padding: padding, groups: groups, statisticsFor: norm)
    }
  }

  /// Convolves x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K], without the bias.
  public func callAsFunction(_ x: Variable, _ pass: Pass) throws -> Variable {
    try pass.layer(name) { try pass.convolution(x, filter: filter, stride: stride, padding: padding, groups: groups) }
  }
}
