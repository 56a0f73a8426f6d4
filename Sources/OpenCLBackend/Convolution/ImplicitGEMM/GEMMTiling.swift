import Compute

/// Sizes with which `convolution_tiled.cl` and `batched_product.cl` compute a convolution or a filter gradient as a matrix
/// product on one device.
struct GEMMTiling: Hashable {
  /// Rows and columns of the result for one channel group, and number of terms of each sum.
  let rows, columns, depth: Int
  /// Number of channel groups.
  let channelGroups: Int
  var tile: Tile
  let factors: Factors
  /// Whether this is a filter gradient: rows are taps and channels, and the depth is pixels.
  let isTransposed: Bool
  /// Number of values in one load, along the rows of the result and of x.
  let width, inputWidth: Int
  /// Whether the input is a plain matrix: the filter is a single tap that meets every pixel.
  let isPlain: Bool
  /// Whether the rows of the result follow one another without gaps.
  let isDense: Bool
  /// Registers that one accumulator takes, by the estimate of `Tile.registers`.
  let sumRegisters: Int
  /// Number of splits that share the depth, and the depth of each: a multiple of the tile's depth.
  let splits, part: Int

  /// Fits the sizes to the problem, by default as built in. Nil if no tile fits into the device's local memory, or if the tensors
  /// do not fit into 32-bit offsets.
  /// - Parameter isTransposed: whether to compute the filter gradient.
  init?(
    _ problem: ConvolutionProblem, isTransposed: Bool, _ storage: DataType, _ traits: DeviceTraits, _ chosen: ImplicitGEMM
  ) {
    let (pixels, terms) = (problem.n * problem.p * problem.q, problem.r * problem.s * problem.groupC)
    // Offsets are ints, with room for offsets beyond the last tile.
    let largest = max(problem.n * problem.h * problem.w * problem.c, pixels * problem.k, terms * problem.k)
    guard largest < 1 << 30 else { return nil }
    (rows, depth) = isTransposed ? (terms, pixels) : (pixels, terms)
    (columns, channelGroups) = (problem.groupK, problem.groups)
    self.isTransposed = isTransposed
    width = columns % 4 == 0 ? 4 : 1
    inputWidth = problem.groupC % 4 == 0 ? width : 1
    sumRegisters = storage == .float16 ? traits.halfSumRegisters : 1
    isPlain = problem.isPlain
    isDense = isTransposed || problem.isDense

    let uses = traits.math == .fast ? traits.matrixInstructions : .none
    let rounded = Factors.rounded(perWord: storage == .float32 ? 1 : 2, isEmulated: uses == .emulated)
    let candidates = uses == .none ? [] : Self.tiles.filter { $0.tile.rounding(rounded).suits(rounded, traits) }
    factors = candidates.isEmpty ? .float32 : rounded
    let cost = { [rows, columns, channelGroups, depth] (tile: Tile, efficiency: Double) in
      Self.cost(
        tile, efficiency, rows: rows, columns: columns, channelGroups: channelGroups, depth: depth, traits.computeUnits)
    }
    var best: (cost: Double, tile: Tile, splits: Int)?
    for (tile, efficiency) in candidates.isEmpty ? Self.tiles : candidates {
      let tile = tile.rounding(factors)
      guard tile.suits(factors, traits), tile.registers(inputWidth, factors, sumRegisters) <= traits.tileRegisters
      else { continue }
      let (cost, splits) = cost(tile, efficiency)
      if cost < best?.cost ?? .infinity { best = (cost, tile, splits) }
    }
    guard let best else { return nil }
    let wantedTile = chosen.tile(or: best.tile)
    tile = wantedTile.suits(factors, traits) ? wantedTile : best.tile
    let slices = (depth + tile.depth - 1) / tile.depth
    let wanted = chosen.splits.suiting { (1...slices).contains($0) } ?? cost(tile, 1).splits
    part = (slices + wanted - 1) / wanted * tile.depth
    splits = (depth + part - 1) / part
  }

  /// Tiles, each with its efficiency on a compute unit that has enough of them. Larger tiles need fewer loads per multiplication.
  private static let tiles: [(tile: Tile, efficiency: Double)] = [
    (Tile(128, 128, 8, 8, 8), 1), (Tile(128, 64, 8, 8, 8), 0.9), (Tile(64, 128, 8, 8, 8), 0.9), (Tile(64, 64, 8, 4, 8), 0.75),
    (Tile(128, 32, 8, 8, 4), 0.65), (Tile(64, 32, 16, 4, 4), 0.55), (Tile(32, 64, 16, 4, 4), 0.55),
    (Tile(32, 32, 16, 4, 4), 0.45), (Tile(128, 16, 8, 4, 4), 0.4), (Tile(32, 32, 16, 4, 8), 0.4),
  ]

  /// Returns the time that the product takes, in multiply-adds of one compute unit, and the number of splits that minimizes it.
  private static func cost(
    _ tile: Tile, _ efficiency: Double, rows: Int, columns: Int, channelGroups: Int, depth: Int, _ computeUnits: Int
  ) -> (cost: Double, splits: Int) {
    let workGroups = workGroups(tile, rows: rows, columns: columns, channelGroups: channelGroups)
    let slices = (depth + tile.depth - 1) / tile.depth
    // Candidates fill the device evenly one to four times. Each split has at least four slices.
    let wanted = [1] + (1...4).map { $0 * computeUnits / workGroups }
    return Set(wanted.map { max(1, min($0, slices / 4)) }).sorted().map { splits in
      let rounds = (workGroups * splits + computeUnits - 1) / computeUnits
      let terms = (slices + splits - 1) / splits * tile.depth
      let product = Double(rounds * tile.rows * tile.columns * terms) / efficiency
      // Writing and reading a partial sum takes the time of 32 multiply-adds, and there is one more kernel to launch.
      let adding = splits == 1 ? 0 : Double(splits * rows * columns * channelGroups) * 32 / Double(computeUnits) + 400_000
      return (product + adding, splits)
    }.min { $0.cost < $1.cost }!
  }

  private static func workGroups(_ tile: Tile, rows: Int, columns: Int, channelGroups: Int) -> Int {
    (rows + tile.rows - 1) / tile.rows * ((columns + tile.columns - 1) / tile.columns) * channelGroups
  }

  /// Number of work-groups of one split.
  var workGroups: Int { Self.workGroups(tile, rows: rows, columns: columns, channelGroups: channelGroups) }

  /// Columns of the results of all channel groups, side by side.
  var allColumns: Int { columns * channelGroups }

  /// Bytes of the partial sums; empty if there are none.
  var workspaces: [Int] { splits == 1 ? [] : [splits * rows * allColumns * 4] }

  /// Returns the same sizes, with the depth split in the same way, for work-groups of at most `items` work-items; nil if no
  /// tile allows this.
  func withGroups(of items: Int, _ traits: DeviceTraits) -> GEMMTiling? {
    let smaller = Self.tiles.map { $0.tile.rounding(factors) }.first {
      $0.items <= items && part % $0.depth == 0 && $0.suits(factors, traits)
        && $0.registers(inputWidth, factors, sumRegisters) <= traits.tileRegisters
    }
    guard let smaller else { return nil }
    var tiling = self
    tiling.tile = smaller
    return tiling
  }

  var defines: KeyValuePairs<String, Int> {
    let (isMatrix, isEmulated) =
      switch factors {
      case .float32: (0, 0)
      case .rounded(_, let isEmulated): (1, isEmulated ? 1 : 0)
      }
    return [
      "VW": width, "VA": inputWidth, "ALIGNED": 1, "BM": tile.rows, "BN": tile.columns, "BK": tile.depth, "TM": tile.itemRows,
      "TN": tile.itemColumns, "TAPS": isPlain ? 0 : 1, "TRANSPOSED": isTransposed ? 1 : 0, "DENSE": isDense ? 1 : 0,
      "MATRIX": isMatrix, "MATRIX_EMULATED": isEmulated,
    ]
  }
}
