import Compute

/// Direct convolution with register tiles: `convolution.cl`, `convolution_filter_gradient.cl`.
struct DirectConvolution: ConvolutionAlgorithm {
  /// Vectors of output channels in a tile.
  var channelVectors: Int?
  /// Output rows and columns in a tile of the convolution.
  var tileRows, tileColumns: Int?
  /// Input channels in a tile of the filter gradient, and number of its partial sums.
  var inputChannels, splits: Int?

  static let name = "direct"
  static let kernelClass: KernelClass? = .registerTiled
  static let isSubstitute = true

  static var sizes: [String: WritableKeyPath<Self, Int?>] {
    ["TC": \.channelVectors, "TP": \.tileRows, "TQ": \.tileColumns, "TI": \.inputChannels, "SPLITS": \.splits]
  }

  static func candidates(for pass: ConvolutionPass) -> [Self] {
    [Self()] + (pass == .filterGradient ? gradientCandidates : convolutionCandidates)
  }

  /// Tiles of one to four vectors of channels by rows of pixels that divide usual images evenly or fill the registers.
  private static var convolutionCandidates: [Self] {
    let tiles = [(2, 14), (1, 14), (2, 7), (2, 8), (1, 16), (4, 7), (4, 4), (2, 12), (1, 8), (2, 4), (1, 28), (4, 6), (3, 8)]
    return tiles.map { Self(channelVectors: $0, tileColumns: $1) }
      + [(2, 7), (1, 14), (1, 7)].map { Self(channelVectors: $0, tileRows: 2, tileColumns: $1) }
  }

  private static var gradientCandidates: [Self] {
    let tiles = [(2, 8), (2, 12), (1, 16), (4, 4), (4, 6), (1, 8), (1, 12), (2, 4), (4, 3), (2, 6), (1, 3)]
    return tiles.map { Self(channelVectors: $0, inputChannels: $1) } + [2, 4, 8, 16].map { Self(splits: $0) }
  }

  func plan(_ task: ConvolutionTask, isChosen: Bool) -> (any ConvolutionPlan)? { DirectPlan(task, self) }

  func planFilterGradient(_ task: ConvolutionTask, isChosen: Bool) -> (any FilterGradientPlan)? {
    DirectFilterGradientPlan(task, self)
  }
}
