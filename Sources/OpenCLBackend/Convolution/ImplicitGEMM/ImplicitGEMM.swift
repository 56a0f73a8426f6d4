import Compute

/// Convolution as a matrix product whose tiles lie in local memory, shared by a work-group: `convolution_tiled.cl`. The matrix of
/// input patches is never stored.
struct ImplicitGEMM: ConvolutionAlgorithm {
  /// Rows and columns of the result that one work-group computes, and depth of a slice.
  var rows, columns, depth: Int?
  /// Rows and columns of the result in the registers of one work-item.
  var itemRows, itemColumns: Int?
  /// Number of splits that share the depth.
  var splits: Int?

  static let name = "tiled"
  static let kernelClass: KernelClass? = .localTiled
  static let isSubstitute = true

  static var sizes: [String: WritableKeyPath<Self, Int?>] {
    ["BM": \.rows, "BN": \.columns, "BK": \.depth, "TM": \.itemRows, "TN": \.itemColumns, "SPLITS": \.splits]
  }

  /// Tiles from the largest to the smallest, then other slices and numbers of splits for the built-in tile.
  static func candidates(for pass: ConvolutionPass) -> [Self] {
    let tiles = [
      (128, 128, 8, 8), (128, 128, 4, 8), (128, 64, 8, 8), (64, 128, 8, 8), (128, 64, 8, 4), (128, 64, 4, 8), (64, 64, 4, 8),
      (64, 64, 8, 8), (64, 64, 4, 4),
      (128, 32, 8, 4), (128, 32, 8, 8), (64, 32, 4, 4), (32, 64, 4, 4), (32, 32, 4, 4), (128, 16, 8, 4),
    ].map { Self(rows: $0, columns: $1, itemRows: $2, itemColumns: $3) }
    return [Self()] + tiles + [8, 16, 32].map { Self(depth: $0) } + [1, 2, 4, 8, 16, 32, 64, 128].map { Self(splits: $0) }
  }

  /// Returns the tile with the sizes that were chosen and that the kernels know, and the others from `tile`.
  func tile(or tile: GEMMTiling.Tile) -> GEMMTiling.Tile {
    func size(_ size: Int?, _ known: [Int]) -> Int? { size.suiting(known.contains) }
    return GEMMTiling.Tile(
      size(rows, [32, 64, 128]) ?? tile.rows, size(columns, [16, 32, 64, 128]) ?? tile.columns,
      size(depth, [8, 16, 32]) ?? tile.depth, size(itemRows, [4, 8]) ?? tile.itemRows,
      size(itemColumns, [4, 8]) ?? tile.itemColumns)
  }

  func plan(_ task: ConvolutionTask, isChosen: Bool) -> (any ConvolutionPlan)? {
    guard isChosen || task.traits.kernelClass == .localTiled else { return nil }
    return ImplicitGEMMPlan(task, self)
  }

  func planFilterGradient(_ task: ConvolutionTask, isChosen: Bool) -> (any FilterGradientPlan)? {
    guard isChosen || task.traits.kernelClass == .localTiled else { return nil }
    return ImplicitGEMMFilterGradientPlan(task, self)
  }
}
