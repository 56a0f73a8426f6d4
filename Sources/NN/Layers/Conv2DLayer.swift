import Compute

/// A convolution without bias, as batch normalisation follows it.
public struct Conv2DLayer {
  /// torchvision's, for example `layer1.0.conv1`.
  public let name: String
  /// [R,S,C/groups,K].
  public let filter: Parameter
  /// Pixels from one window to the next, and zeros on every side, both along height and width.
  public let stride, padding: Int
  /// Into which the channels of x and y are divided, each group of y made of one of x; 1 for an ordinary convolution.
  public let groups: Int

  /// Declares `weight`; the padding keeps the image's size at stride 1 (window odd).
  public init(_ scope: Scope, inputs: Int, outputs: Int, window: Int, stride: Int = 1, groups: Int = 1) {
    precondition(inputs % groups == 0 && outputs % groups == 0, "[Conv2DLayer] \(inputs) → \(outputs) in \(groups) groups")
    let shape: Shape = [window, window, inputs / groups, outputs]
    name = scope.path
    filter = scope.declare("weight", shape, .filter, .he(filter: shape))
    (self.stride, self.groups) = (stride, groups)
    padding = window / 2
  }

  /// Channels of x.
  public var inputs: Int { filter.shape[2] * groups }

  /// x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K], and the statistics that a batch normalisation of y needs.
  func callAsFunction(_ x: Variable, before norm: BatchNormLayer, _ pass: Pass) throws -> (
    y: Variable, statistics: BatchNormChannels?
  ) {
    try pass.layer(name) {
      try pass.convolution(x, filter: filter, stride: stride, padding: padding, groups: groups, statisticsFor: norm)
    }
  }

  /// x [N,H,W,C] → y [N,⌈H/stride⌉,⌈W/stride⌉,K].
  public func callAsFunction(_ x: Variable, _ pass: Pass) throws -> Variable {
    try pass.layer(name) { try pass.convolution(x, filter: filter, stride: stride, padding: padding, groups: groups) }
  }
}
