import CKernelParameters
import Compute

/// Sizes with which `convolution_filter_gradient.cl` computes one filter gradient on one device.
struct DirectFilterGradientTiling: Hashable {
  /// Number of floats in a vector, and vectors of output channels and input channels in a tile.
  let width, channelVectors, inputChannels: Int
  /// Number of output channels of a work-item.
  let depth: Int
  /// Number of output rows of a block.
  let rows: Int
  /// Sampling step: the input tile stores every `sample`-th pixel of the input.
  let sample: Int
  /// Number of terms in a factor.
  let terms: Int
  /// Factors between neighboring pixels in the tiles of x and dy, and the bytes of these tiles.
  let inputPitch, gradientPitch, inputBytes, gradientBytes: Int
  /// Number of groups of output rows, each with its own partial sum.
  let splits: Int
  /// Whether many shapes share the kernel. Their sizes are then arguments, and the tile is one of a few.
  let isShared: Bool

  /// Fits the sizes to the convolution, by default as built in. Nil if the tiles of one row do not fit into local memory.
  init?(_ g: ConvolutionProblem, _ traits: DeviceTraits, _ chosen: DirectConvolution) {
    width = traits.vectorWidth(dividing: g.groupK)
    terms = traits.terms(width: width)
    let (width, k, columns) = (width, g.k, (g.q + terms - 1) / terms)
    channelVectors =
      chosen.channelVectors.suiting { (1...8).contains($0) && g.groupK % ($0 * width) == 0 }
      ?? [4, 2].first { g.groupK % ($0 * width) == 0 } ?? 1
    let panel = width * channelVectors
    let (input, isShared) = (InputTile(g, tileStep: g.stride), g.isSmall)
    (sample, inputPitch, self.isShared) = (input.sample, input.pitch, isShared)
    // If S and C are one loop, tiles may cross from one tap to the next.
    let length = g.groups == 1 && inputPitch == g.c ? g.s * g.c : g.groupC
    let most = min(16, max(1, traits.accumulators / channelVectors), length)
    inputChannels =
      chosen.inputChannels.suiting { (1...most).contains($0) && length % $0 == 0 }
      ?? (1...most).last { length % $0 == 0 && (!isShared || $0 == $0.powerOfTwo) } ?? 1

    // Each further part of the output channels copies x once more. A part of 256 channels outweighs such a copy many times over.
    func largestDepth(_ panels: Int) -> Int { ((1...max(1, panels)).last { k % ($0 * panel) == 0 } ?? 1) * panel }
    var depth = largestDepth(256 / panel)
    func gradientPitch(_ depth: Int) -> Int { depth >= 256 ? depth + 16 : depth }
    func bytes(_ rows: Int, _ depth: Int) -> Int { input.byteCount(rows: rows) + rows * columns * gradientPitch(depth) * 4 }
    var rows = max(1, min(g.p, 128 / g.q))
    while rows > 1 && bytes(rows, depth) > traits.localMemory { rows /= 2 }
    while depth > panel && bytes(rows, depth) > traits.localMemory { depth = largestDepth(depth / panel - 1) }
    guard bytes(rows, depth) <= traits.localMemory else { return nil }
    (self.depth, self.rows, self.gradientPitch) = (depth, rows, gradientPitch(depth))
    (inputBytes, gradientBytes) = (input.byteCount(rows: rows), rows * columns * gradientPitch(depth) * 4)

    // Partial sums cost traffic. There are as many as keep the device busy, but their traffic is at most a quarter of the data
    // read.
    let wanted = (traits.wantedItems * depth / k + 1) / 2
    let affordable = (g.n * g.h * g.w * g.c + g.n * g.p * g.q * g.k) / 4 / g.filterCount
    let mostSplits = max(1, g.n * g.p / rows)
    splits =
      chosen.splits.suiting { (1...mostSplits).contains($0) }
      ?? max(1, min(mostSplits, wanted, max(affordable, traits.computeUnits * depth / k)))
  }

  /// The tiles of x and dy as the kernel takes them.
  var parameters: gradient_tile_t {
    get throws {
      try gradient_tile_t(
        depth: int32(depth), rows: int32(rows), sample: int32(sample), xPitch: int32(inputPitch), dyPitch: int32(gradientPitch))
    }
  }

  /// Returns the sizes of the shape that are constants of the kernel.
  func constants(_ g: ConvolutionProblem) -> KeyValuePairs<String, Int> {
    isShared ? [:] : ["STRIDE": g.stride, "SAMPLE": sample, "GROUPS": g.groups]
  }
}
