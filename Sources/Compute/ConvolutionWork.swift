/// One pass of one convolution: all that a device's choice between its kernels may depend on.
public struct ConvolutionWork: Hashable, Sendable, CustomStringConvertible {
  public let pass: ConvolutionPass
  public let geometry: Conv2D
  /// Whether the result is added to what the destination holds; only input gradients can be.
  public let accumulates: Bool

  public init(_ pass: ConvolutionPass, _ geometry: Conv2D, accumulates: Bool = false) {
    precondition(!accumulates || pass == .inputGradient, "[ConvolutionWork] only input gradients accumulate")
    (self.pass, self.geometry, self.accumulates) = (pass, geometry, accumulates)
  }

  /// For example `forward 128×32×32×16 → 32×32×16, 3×3 stride 1 padding 1`; different work has different descriptions.
  public var description: String {
    let g = geometry
    return "\(pass.rawValue) \(g.n)×\(g.h)×\(g.w)×\(g.c) → \(g.p)×\(g.q)×\(g.k), \(g.r)×\(g.s) stride \(g.stride) padding "
      + "\(g.padding)\(accumulates ? ", added" : "")"
  }
}
