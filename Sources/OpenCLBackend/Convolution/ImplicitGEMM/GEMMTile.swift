import Compute

extension GEMMTiling {
  /// Part of the result that one work-group computes, and its division into work-items.
  struct Tile: Hashable {
    /// Rows and columns of the result, and depth of a slice.
    let rows, columns, depth: Int
    /// Rows and columns of the result in the registers of one work-item.
    let itemRows, itemColumns: Int

    init(_ rows: Int, _ columns: Int, _ depth: Int, _ itemRows: Int, _ itemColumns: Int) {
      (self.rows, self.columns, self.depth) = (rows, columns, depth)
      (self.itemRows, self.itemColumns) = (itemRows, itemColumns)
    }

    var items: Int { (rows / itemRows) * (columns / itemColumns) }
  }

  /// Number format in which the factors (operands) of the product are multiplied.
  enum Factors: Hashable {
    case float32
    /// Matrix instructions with rounded factors: a word of a tile holds one factor (tf32) or two (16-bit types).
    case rounded(perWord: Int, isEmulated: Bool)

    var perWord: Int {
      switch self {
      case .float32: 1
      case .rounded(let perWord, _): perWord
      }
    }
  }
}

extension GEMMTiling.Tile {
  /// Whether the kernel supports these sizes and the device supports such a work-group.
  func suits(_ factors: GEMMTiling.Factors, _ traits: DeviceTraits) -> Bool {
    if case .rounded(let perWord, _) = factors {
      // A warp owns 8·itemRows × 32 sums, and an instruction takes eight words of depth.
      guard itemColumns == 8, rows % (8 * itemRows) == 0, columns % 32 == 0, depth / perWord % 8 == 0 else { return false }
    }
    return items % 32 == 0 && items <= traits.largestGroup && byteCount(factors) <= traits.localMemory
  }

  /// Returns the same tile, for matrix instructions with slices as deep as two instructions.
  func rounding(_ factors: GEMMTiling.Factors) -> Self {
    guard case .rounded(let perWord, _) = factors else { return self }
    return Self(rows, columns, 16 * perWord, itemRows, itemColumns)
  }

  /// Estimates the registers that the accumulators of a work-item and its loads of the next slice take, based on the results of
  /// GPU compilers for this kernel. It is 0 for matrix instructions, whose tiles were tried individually.
  /// - Parameters:
  ///   - inputWidth: number of values of x in one load.
  ///   - sumRegisters: number of registers that one accumulator takes.
  func registers(_ inputWidth: Int, _ factors: GEMMTiling.Factors, _ sumRegisters: Int) -> Int {
    guard factors == .float32 else { return 0 }
    let loads = rows * depth / inputWidth / items
    return itemRows * itemColumns * sumRegisters + loads * (inputWidth == 1 ? 8 : 24)
  }

  /// Returns the bytes of local memory.
  private func byteCount(_ factors: GEMMTiling.Factors) -> Int {
    let slices = 2 * depth / factors.perWord * (rows + 8 + columns + 8) * 4
    if case .rounded(_, isEmulated: true) = factors { return slices + items * 6 * 4 }
    return slices
  }
}
