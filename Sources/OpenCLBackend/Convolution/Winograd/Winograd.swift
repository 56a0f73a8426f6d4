import Compute

/// Winograd's convolution with register tiles (Lavin and Gray 2016), in one kernel or in stages: `winograd.cl` and
/// `winograd_staged.cl`.
struct Winograd: ConvolutionAlgorithm {
  /// Side of a tile in outputs. It never makes the result less exact than the device's policy allows.
  var side: Int?
  /// Vectors of output channels in a register tile.
  var channelVectors: Int?
  /// Tiles in a register tile of the convolution, and input channels in one of the filter gradient.
  var tileRows, inputChannels: Int?
  /// Slots that a work-item of the filter gradient holds at a time.
  var tilesAtOnce: Int?
  /// Whether the stages exchange data through buffers.
  var isStaged: Bool?

  static let name = "winograd"
  static let kernelClass: KernelClass? = .registerTiled
  static let transforms = true

  static var sizes: [String: WritableKeyPath<Self, Int?>] {
    [
      "M": \.side, "TC": \.channelVectors, "TR": \.tileRows, "TI": \.inputChannels, "TB": \.tilesAtOnce,
      "STAGED": \.stagedNumber,
    ]
  }

  /// ``isStaged`` as a number: 0 or 1.
  private var stagedNumber: Int? {
    get { isStaged.map { $0 ? 1 : 0 } }
    set { isStaged = newValue.suiting { $0 <= 1 }.map { $0 == 1 } }
  }

  static func candidates(for pass: ConvolutionPass) -> [Self] {
    [false, true].map { Self(isStaged: $0) } + (pass == .filterGradient ? gradientCandidates : convolutionCandidates)
      + [Self(side: 2)]
  }

  private static var convolutionCandidates: [Self] {
    [(2, 12), (2, 14), (1, 14), (4, 6), (2, 8), (1, 12)].map { Self(channelVectors: $0, tileRows: $1) }
  }

  private static var gradientCandidates: [Self] {
    [(4, 4), (2, 8), (1, 16), (2, 12), (4, 6), (2, 4)].map { Self(channelVectors: $0, inputChannels: $1) }
      + [8, 16, 32, 48].map { Self(tilesAtOnce: $0) }
  }

  func plan(_ task: ConvolutionTask, isChosen: Bool) -> (any ConvolutionPlan)? {
    guard let tiling = WinogradTiling(task, self, isChosen: isChosen) else { return nil }
    return tiling.isStaged ? StagedWinogradPlan(task, tiling) : FusedWinogradPlan(task, tiling)
  }

  func planFilterGradient(_ task: ConvolutionTask, isChosen: Bool) -> (any FilterGradientPlan)? {
    guard let tiling = WinogradTiling(task, self, isChosen: isChosen) else { return nil }
    return tiling.isStaged
      ? StagedWinogradFilterGradientPlan(task, tiling) : FusedWinogradFilterGradientPlan(task, tiling)
  }
}
