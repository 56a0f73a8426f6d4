/// One pass of one convolution: all that a device's choice between its kernels may depend on.
public struct ConvolutionWork: Hashable, Sendable, CustomStringConvertible {
  /// Which pass.
  public let pass: ConvolutionPass
  /// The convolution's sizes.
  public let geometry: Conv2D
  /// Whether the result is added to what the destination holds; only input gradients can be.
  public let accumulates: Bool

  /// - Precondition: only an input gradient accumulates.
  public init(_ pass: ConvolutionPass, _ geometry: Conv2D, accumulates: Bool = false) {
    precondition(!accumulates || pass == .inputGradient, "[ConvolutionWork] only input gradients accumulate")
    (self.pass, self.geometry, self.accumulates) = (pass, geometry, accumulates)
  }

  /// The work whose choice of kernels serves this one too: statistics change nothing about the convolution that they are taken of.
  public var withoutStatistics: ConvolutionWork {
    pass == .forwardWithStatistics ? ConvolutionWork(.forward, geometry) : self
  }

  /// For example `forward 128×32×32×16 → 32×32×16, 3×3 stride 1 padding 1`; different work has different descriptions.
  public var description: String {
    "\(pass.rawValue) \(geometry)\(accumulates ? ", added" : "")"
  }
}
