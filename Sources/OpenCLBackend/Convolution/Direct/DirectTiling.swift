import CKernelParameters
import Compute

/// Sizes with which `convolution.cl` computes one problem on one device.
struct DirectTiling: Hashable {
  /// Number of floats in a vector, and vectors of output channels, output rows and output columns in a tile.
  let width, channelVectors, tileRows, tileColumns: Int
  /// Number of row blocks of an image. There are blocks × images work-items.
  let blocks: Int
  /// Sampling step: the input tile stores every `sample`-th pixel of the input.
  let sample: Int
  /// Number of terms in a factor.
  let terms: Int
  /// Terms between neighboring pixels of an input tile, and factors between its rows.
  let pitch, row: Int
  /// Whether many shapes share the kernel. Their sizes are then arguments, and the tile is one of a few.
  let isShared: Bool
  /// Bytes of the input tile of the largest block.
  let inputBytes: Int
  /// Form of the packed filter.
  let filter: PackedFilter

  /// Fits the sizes to the problem, by default as built in. Nil if the input tile does not fit into local memory.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, _ chosen: DirectConvolution) {
    width = traits.vectorWidth(dividing: problem.groupK)
    let vectors = problem.groupK / width
    // Two vectors of channels use each input value twice. More of them leave too few pixels per tile.
    channelVectors = chosen.channelVectors.suiting { (1...8).contains($0) && vectors % $0 == 0 } ?? (vectors % 2 == 0 ? 2 : 1)
    let pixels = max(1, traits.accumulators / channelVectors)
    let isShared = problem.isSmall
    self.isShared = isShared
    func tile(_ side: Int) -> Int { isShared ? side.powerOfTwo : side }
    // Tiles have up to 14 or 16 pixels and divide the row evenly. If no such length is worth it, the last tile overlaps the one
    // before.
    let longest = min(pixels, channelVectors == 1 ? 16 : 14, problem.q)
    let tiles = (problem.q + longest - 1) / longest
    tileColumns =
      chosen.tileColumns.suiting { (1...min(pixels, problem.q)).contains($0) }
      ?? tile((min(6, longest)...longest).last { problem.q % $0 == 0 } ?? (problem.q + tiles - 1) / tiles)
    // Eight accumulators in flight hide the latency of a multiply-add. If the filter has only one vector per tile, sixteen spread
    // the cost of loading it. Several rows make up for short columns.
    let sums = channelVectors == 1 ? 16 : 8
    let wanted = (sums + tileColumns * channelVectors - 1) / (tileColumns * channelVectors)
    let mostRows = max(1, min(problem.p, pixels / tileColumns))
    tileRows = chosen.tileRows.suiting { (1...mostRows).contains($0) } ?? tile(min(wanted, mostRows))

    // A channel group begins with a whole factor.
    terms = problem.groupC % 2 == 0 || problem.groups == 1 ? traits.terms(width: width) : 1
    let input = InputTile(problem, tileStep: problem.stride, terms: terms)
    (sample, pitch, row) = (input.sample, input.pitch, input.row)
    filter = PackedFilter(
      problem, width: width, panel: width * channelVectors, terms: terms, joinsTaps: problem.groups == 1 && pitch == problem.c)
    func rows(_ blocks: Int) -> Int { (problem.p + blocks - 1) / blocks }
    // There are as few blocks as keep the device busy, and none is smaller than a tile. A block passes over its input tile once
    // for each panel of output channels, and over the whole filter once. So the input tile stays in a core's own cache; the
    // larger the filter, the larger the part of the cache that it may take.
    let most = max(1, problem.p / tileRows)
    var count = min(most, max(1, traits.wantedItems / problem.n))
    let cache = min(traits.localMemory, max(48 << 10, min(filter.count * 4, 384 << 10)))
    while count < most && input.byteCount(rows: rows(count)) > cache { count += 1 }
    blocks = count
    inputBytes = input.byteCount(rows: rows(count))
    if inputBytes > traits.localMemory { return nil }
  }

  /// The input tile as the kernel takes it.
  var parameters: input_tile_t {
    get throws { try input_tile_t(sample: int32(sample), pitch: int32(pitch), row: int32(row)) }
  }

  /// Returns the sizes of the shape that are constants of the kernel.
  func constants(_ problem: ConvolutionProblem) -> KeyValuePairs<String, Int> {
    isShared ? [:] : ["STRIDE": problem.stride, "SAMPLE": sample, "PITCH": pitch, "ROW": row, "GROUPS": problem.groups]
  }
}
