/// One pass of one convolution: all that a device's choice between its kernels may depend on.
public struct ConvolutionWork: Hashable, Sendable, CustomStringConvertible {
  /// Which pass.
  public let pass: ConvolutionPass
  /// The convolution's sizes.
  public let geometry: Conv2D
  /// Whether the result is added to what the destination holds; only input gradients can be.
  public let accumulates: Bool

  /// How activations and their gradients are stored.
  public let storage: DataType

  /// - Precondition: only an input gradient accumulates.
  public init(_ pass: ConvolutionPass, _ geometry: Conv2D, _ storage: DataType = .float32, accumulates: Bool = false) {
    precondition(!accumulates || pass == .inputGradient, "[ConvolutionWork] only input gradients accumulate")
    (self.pass, self.geometry, self.storage, self.accumulates) = (pass, geometry, storage, accumulates)
  }

  /// The work whose choice of kernels serves this one too: statistics change nothing about the convolution that they are taken of.
  public var withoutStatistics: ConvolutionWork {
    pass == .forwardWithStatistics ? ConvolutionWork(.forward, geometry, storage) : self
  }

  /// For example `forward 128×32×32×16 → 32×32×16, 3×3 stride 1 padding 1`; different work has different descriptions.
  public var description: String {
    "\(pass.rawValue) \(geometry)\(storage == .float32 ? "" : ", \(storage)")\(accumulates ? ", added" : "")"
  }
}
