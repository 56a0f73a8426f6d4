import CKernelParameters
import Compute

/// Sizes with which `winograd_batched.cl` and `batched_product.cl` compute a convolution of stride 1 or its filter gradient on
/// one device.
struct BatchedWinogradTiling: Hashable {
  /// Side of a tile in outputs, ``DeviceTraits/winogradSide`` or ``DeviceTraits/forwardWinogradSide``, unless the tuner chose a
  /// smaller one.
  let side: Int
  /// Input channels, output channels, and channels that one work-item transforms.
  let c, k, width: Int
  /// Number of tiles in a column, in a row, and in all images.
  let down, across, tiles: Int
  /// Product at one point of the tiles: [tiles,C]·[C,K], or for the filter gradient [tiles,C]ᵀ·[tiles,K].
  let product: GEMMTiling

  /// Fits the sizes to the problem, by default as built in. Nil if the shape does not suit Winograd, if the workspaces are larger
  /// than a buffer can be, or, without a choice, if a product with the untransformed filter is faster.
  init?(_ task: ConvolutionTask, _ chosen: BatchedWinograd, isChosen: Bool) {
    let (problem, traits, isGradient) = (task.problem, task.traits, task.pass == .filterGradient)
    guard problem.r == 3, problem.s == 3, problem.stride == 1, problem.groups == 1, problem.isDense, problem.wStart == 0,
      isChosen || Self.pays(problem, traits, side: task.winogradSide)
    else { return nil }
    (c, k) = (problem.c, problem.k)
    // A choice never makes the result less exact than the device's policy allows.
    side = chosen.side.suiting { [2, 4].contains($0) && $0 <= task.winogradSide } ?? task.winogradSide
    // A tile of side four and vectors of two take 72 floats in registers.
    width = min(2, traits.vectorWidth(dividing: c | k))
    (down, across) = ((problem.p + side - 1) / side, (problem.q + side - 1) / side)
    tiles = problem.n * down * across

    // Each point gets its share of the device.
    var share = traits
    share.computeUnits = max(1, traits.computeUnits / ((side + 2) * (side + 2)))
    var sizes = chosen.product
    if !isGradient { sizes.splits = 1 }
    let matrix = ConvolutionProblem(forward: Conv2D(input: [1, 1, tiles, c], filter: [1, 1, c, k]))
    guard let product = GEMMTiling(matrix, isTransposed: isGradient, .float32, share, sizes) else { return nil }
    self.product = product
    guard ([sumCount * 4] + transformedBytes).allSatisfy({ $0 <= traits.largestBuffer }) else { return nil }
  }

  /// Whether fewer multiplications are worth more memory traffic, by default. A tile of M×M outputs moves (M+2)² points per
  /// channel of both sides (inputs and outputs) to memory and back. It saves 9·M² − (M+2)² multiply-adds per channel of the other
  /// side. GPUs with fast memory do about 15 multiply-adds in the time of one float of traffic, so this pays from about 90
  /// channels on with M = 2 and from 40 on with M = 4. Also, four kernels must not take longer to start than the one that they
  /// replace takes to run. Matrix instructions multiply too fast for this to pay.
  private static func pays(_ problem: ConvolutionProblem, _ traits: DeviceTraits, side: Int) -> Bool {
    guard traits.kernelClass == .localTiled, traits.math == .exact || traits.matrixInstructions == .none else { return false }
    let macs = problem.n * problem.p * problem.q * problem.c * problem.k * 9
    return min(problem.c, problem.k) >= (side == 2 ? 128 : 64) && macs / traits.computeUnits >= 8_000_000
  }

  /// Number of points of a transformed tile.
  var positions: Int { (side + 2) * (side + 2) }

  /// Number of elements of the transformed filter.
  var filterCount: Int { positions * c * k }

  /// Number of elements of all sums of the filter gradient. A convolution has one split, and as many elements of its filter.
  var sumCount: Int { product.splits * filterCount }

  /// Bytes of the transformed inputs, and of the products or the transformed output gradients.
  var transformedBytes: [Int] { [c, k].map { positions * tiles * $0 * 4 } }

  /// Returns the shape as the kernels of the transforms take it.
  func parameters(_ problem: ConvolutionProblem) throws -> winograd_t {
    try winograd_t(problem, down: down, across: across, tiles: tiles, inputPitch: c, gradientPitch: k, slotsAtOnce: 1)
  }

  /// Constants that specialize the kernels of the transforms.
  var defines: KeyValuePairs<String, Int> { ["VW": width, "M": side, "C": c, "K": k] }
}
