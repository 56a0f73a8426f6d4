/// One pass of one convolution, with everything that a device's choice between its kernels may depend on.
public struct ConvolutionWork: Hashable, Sendable, CustomStringConvertible {
  /// Pass of the convolution.
  public let pass: ConvolutionPass
  /// Sizes of the convolution.
  public let geometry: Conv2D
  /// Whether the result is added to the contents of the destination. Only input gradients can be added.
  public let accumulates: Bool

  /// Storage type of activations and their gradients.
  public let storage: DataType

  /// - Precondition: only an input gradient accumulates.
  public init(_ pass: ConvolutionPass, _ geometry: Conv2D, _ storage: DataType = .float32, accumulates: Bool = false) {
    precondition(!accumulates || pass == .inputGradient, "[ConvolutionWork] only input gradients accumulate")
    (self.pass, self.geometry, self.storage, self.accumulates) = (pass, geometry, storage, accumulates)
  }

  /// The work whose choice of kernels also serves this one. Statistics do not change the convolution from which they are taken.
  public var withoutStatistics: ConvolutionWork {
    pass == .forwardWithStatistics ? ConvolutionWork(.forward, geometry, storage) : self
  }

  /// For example `forward 128×32×32×16 → 32×32×16, 3×3 stride 1 padding 1`. Different work has different descriptions.
  public var description: String {
    "\(pass.rawValue) \(geometry)\(storage == .float32 ? "" : ", \(storage)")\(accumulates ? ", added" : "")"
  }
}
