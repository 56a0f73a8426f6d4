import Compute
import Support

/// Plan for `convolution_tiled.cl`: how it is specialized and launched for a convolution or a filter gradient, as a matrix
/// product (implicit GEMM).
struct TiledPlan: Hashable {
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

  /// Plans the convolution. Nil if the device has other kernels for it, if another algorithm was chosen, if the tiles do not fit
  /// into the device's local memory, or if the tensors do not fit into 32-bit offsets.
  init?(_ problem: ConvolutionProblem, _ storage: DataType, _ traits: DeviceTraits) {
    self.init(problem, isTransposed: false, storage, traits)
  }

  /// Plans the filter gradient; nil under the same conditions as for the convolution.
  init?(filterGradient geometry: Conv2D, _ storage: DataType, _ traits: DeviceTraits) {
    self.init(ConvolutionProblem(forward: geometry), isTransposed: true, storage, traits)
  }

  private init?(_ problem: ConvolutionProblem, isTransposed: Bool, _ storage: DataType, _ traits: DeviceTraits) {
    switch traits.choice?.algorithm {
    case .tiled: break
    case .direct, .plain: return nil
    case nil, .batched, .winograd, .product: if traits.kernelClass != .localTiled { return nil }
    }
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
    func number(_ name: String, _ sizes: [Int]) -> Int? { traits.chosen(name) { sizes.contains($0) } }
    let chosen = Tile(
      number("BM", [32, 64, 128]) ?? best.tile.rows, number("BN", [16, 32, 64, 128]) ?? best.tile.columns,
      number("BK", [8, 16, 32]) ?? best.tile.depth, number("TM", [4, 8]) ?? best.tile.itemRows,
      number("TN", [4, 8]) ?? best.tile.itemColumns)
    tile = chosen.suits(factors, traits) ? chosen : best.tile
    let slices = (depth + tile.depth - 1) / tile.depth
    let wanted = traits.chosen("SPLITS") { (1...slices).contains($0) } ?? cost(tile, 1).splits
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

  /// Returns the same product, with the depth split in the same way, for work-groups of at most `items` work-items; nil if no
  /// tile allows this.
  func withGroups(of items: Int, _ traits: DeviceTraits) -> TiledPlan? {
    let smaller = Self.tiles.map { $0.tile.rounding(factors) }.first {
      $0.items <= items && part % $0.depth == 0 && $0.suits(factors, traits)
        && $0.registers(inputWidth, factors, sumRegisters) <= traits.tileRegisters
    }
    guard let smaller else { return nil }
    var plan = self
    plan.tile = smaller
    return plan
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

extension TiledPlan.Tile {
  /// Whether the kernel supports these sizes and the device supports such a work-group.
  func suits(_ factors: TiledPlan.Factors, _ traits: DeviceTraits) -> Bool {
    if case .rounded(let perWord, _) = factors {
      // A warp owns 8·itemRows × 32 sums, and an instruction takes eight words of depth.
      guard itemColumns == 8, rows % (8 * itemRows) == 0, columns % 32 == 0, depth / perWord % 8 == 0 else { return false }
    }
    return items % 32 == 0 && items <= traits.largestGroup && byteCount(factors) <= traits.localMemory
  }

  /// Returns the same tile, for matrix instructions with slices as deep as two instructions.
  func rounding(_ factors: TiledPlan.Factors) -> Self {
    guard case .rounded(let perWord, _) = factors else { return self }
    return Self(rows, columns, 16 * perWord, itemRows, itemColumns)
  }

  /// Estimates the registers that the accumulators of a work-item and its loads of the next slice take, based on the results of
  /// GPU compilers for this kernel. It is 0 for matrix instructions, whose tiles were tried individually.
  /// - Parameters:
  ///   - inputWidth: number of values of x in one load.
  ///   - sumRegisters: number of registers that one accumulator takes.
  func registers(_ inputWidth: Int, _ factors: TiledPlan.Factors, _ sumRegisters: Int) -> Int {
    guard factors == .float32 else { return 0 }
    let loads = rows * depth / inputWidth / items
    return itemRows * itemColumns * sumRegisters + loads * (inputWidth == 1 ? 8 : 24)
  }

  /// Returns the bytes of local memory.
  private func byteCount(_ factors: TiledPlan.Factors) -> Int {
    let slices = 2 * depth / factors.perWord * (rows + 8 + columns + 8) * 4
    if case .rounded(_, isEmulated: true) = factors { return slices + items * 6 * 4 }
    return slices
  }
}

extension OpenCLBackend {
  /// Returns the plan, or the same plan with smaller tiles if the registers of its kernel allow fewer work-items than the device
  /// does.
  func fitting(_ plan: TiledPlan, _ specialization: (TiledPlan) -> KernelSpecialization) throws -> TiledPlan {
    var plan = plan
    while case let limit = try maxWorkGroupSize(of: specialization(plan)), limit < plan.tile.items {
      guard let smaller = plan.withGroups(of: limit, traits) else {
        let kernel = specialization(plan).kernel
        throw Failure(.device, "\(name) runs \(kernel) in work-groups of \(limit) at most, too few for any of its tiles")
      }
      plan = smaller
    }
    return plan
  }

  /// Computes the convolution or filter gradient of a plan.
  /// - Parameter b: the filter [R,S,C,K], or dy.
  func multiplyTiles(_ x: Tensor, _ b: Tensor, _ problem: ConvolutionProblem, _ plan: TiledPlan, _ ending: Ending) throws {
    // Sums for a filter gradient are stored as float32, whatever the type of x; so are partial sums.
    let isSplit = plan.isTransposed || plan.splits > 1
    let sums = plan.splits > 1 ? try tensor([plan.splits, plan.rows, plan.allColumns]) : ending.y
    let result = plan.isTransposed ? ending.y.byteCount : problem.written(x.type) * (ending.accumulate ? 2 : 1)
    let strides: [Argument] = [.int(problem.yImage), .int(problem.yRow), .int(problem.yColumn), .int(problem.yStart)]

    func specialization(_ plan: TiledPlan) -> KernelSpecialization {
      KernelSpecialization(
        .convolutionTiled, "convolution_tiled", plan.defines, ["STRIDE": problem.stride, "SPLIT": isSplit ? 1 : 0],
        groups(problem.groups), isSplit ? [:] : ending.defines, x.type.storage)
    }
    let plan = try fitting(plan, specialization)
    try launch(
      specialization(plan), global: [plan.workGroups * plan.tile.items, plan.splits], local: [plan.tile.items, 1],
      moving: x.byteCount + b.byteCount + (plan.splits > 1 ? sums.byteCount : result + ending.otherBytes),
      [.buffer(x.buffer), .buffer(b.buffer)] + ending.arguments + [
        .buffer(sums.buffer), .int(plan.isTransposed ? 0 : problem.wStart), .int(problem.n), .int(problem.h), .int(problem.w),
        .int(problem.c), .int(problem.k), .int(problem.p), .int(problem.q), .int(problem.r), .int(problem.s),
        .int(problem.padTop), .int(problem.padLeft),
      ] + strides + [.int(plan.part)])
    guard plan.splits > 1 else { return }
    try launch(
      KernelSpecialization(
        .convolutionTiled, "add_partials", ["VW": plan.width, "ALIGNED": 1, "DENSE": plan.isDense ? 1 : 0], ending.defines,
        ending.y.type.storage),
      global: [plan.rows * plan.allColumns / plan.width], moving: sums.byteCount + result + ending.otherBytes,
      [.buffer(sums.buffer)] + ending.arguments + [
        .int(plan.rows * plan.allColumns), .int(plan.splits), .int(problem.p), .int(problem.q), .int(problem.k),
      ] + strides)
  }
}
