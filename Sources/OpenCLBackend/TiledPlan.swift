import Compute

/// How `convolution_tiled.cl` is specialised and launched for a convolution or a filter gradient, as a product of matrices.
struct TiledPlan: Hashable {
  /// What one work-group computes, and its items.
  struct Tile: Hashable {
    /// Of the result, and depths of a slice.
    let rows, columns, depth: Int
    /// Of the result, in an item's registers.
    let itemRows, itemColumns: Int

    init(_ rows: Int, _ columns: Int, _ depth: Int, _ itemRows: Int, _ itemColumns: Int) {
      (self.rows, self.columns, self.depth) = (rows, columns, depth)
      (self.itemRows, self.itemColumns) = (itemRows, itemColumns)
    }

    var items: Int { (rows / itemRows) * (columns / itemColumns) }
  }

  /// How the factors of the product are multiplied.
  enum Factors: Hashable {
    case float32
    /// By matrix instructions, factors rounded: words of a tile hold one (tf32) or two (16 bits).
    case rounded(perWord: Int, isEmulated: Bool)

    var perWord: Int {
      switch self {
      case .float32: 1
      case .rounded(let perWord, _): perWord
      }
    }
  }

  /// Of the result of a group of channels, and the terms of each sum.
  let rows, columns, depth: Int
  /// Groups of channels.
  let channelGroups: Int
  var tile: Tile
  let factors: Factors
  /// Whether rows are taps and channels and the depth is pixels: a filter gradient.
  let isTransposed: Bool
  /// Values loaded at a time of rows of the result, and of x.
  let width, inputWidth: Int
  /// Whether the input is a plain matrix: a single tap that meets every pixel.
  let isPlain: Bool
  /// Whether the rows of the result follow one another.
  let isDense: Bool
  /// Registers that a sum takes, by the estimate of `Tile.registers`.
  let sumRegisters: Int
  /// Groups that share the depth, and how much of it each takes: a multiple of the tile's.
  let splits, part: Int

  /// The convolution's plan. Nil where the device has other kernels for it, another algorithm was chosen, or tiles do not fit into its
  /// local memory or the tensors into 32-bit offsets.
  init?(_ problem: ConvolutionProblem, _ storage: DataType, _ traits: DeviceTraits) {
    self.init(problem, isTransposed: false, storage, traits)
  }

  /// The filter gradient's plan; nil as for the convolution.
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
    // Offsets are ints, with room for what lies beyond the last tile.
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

  /// Tiles, and how well each uses a compute unit that has enough of them: the larger, the fewer loads for a multiplication.
  private static let tiles: [(tile: Tile, efficiency: Double)] = [
    (Tile(128, 128, 8, 8, 8), 1), (Tile(128, 64, 8, 8, 8), 0.9), (Tile(64, 128, 8, 8, 8), 0.9), (Tile(64, 64, 8, 4, 8), 0.75),
    (Tile(128, 32, 8, 8, 4), 0.65), (Tile(64, 32, 16, 4, 4), 0.55), (Tile(32, 64, 16, 4, 4), 0.55),
    (Tile(32, 32, 16, 4, 4), 0.45), (Tile(128, 16, 8, 4, 4), 0.4), (Tile(32, 32, 16, 4, 8), 0.4),
  ]

  /// The time that the product takes, in multiply-adds of one compute unit, and how many parts of the depth make it least.
  private static func cost(
    _ tile: Tile, _ efficiency: Double, rows: Int, columns: Int, channelGroups: Int, depth: Int, _ computeUnits: Int
  ) -> (cost: Double, splits: Int) {
    let workGroups = workGroups(tile, rows: rows, columns: columns, channelGroups: channelGroups)
    let slices = (depth + tile.depth - 1) / tile.depth
    // As many as fill the device evenly one to four times, of at least four slices each.
    let wanted = [1] + (1...4).map { $0 * computeUnits / workGroups }
    return Set(wanted.map { max(1, min($0, slices / 4)) }).sorted().map { splits in
      let rounds = (workGroups * splits + computeUnits - 1) / computeUnits
      let terms = (slices + splits - 1) / splits * tile.depth
      let product = Double(rounds * tile.rows * tile.columns * terms) / efficiency
      // Partial sums are written and read, in the time of 32 multiply-adds, and there is one more kernel to launch.
      let adding = splits == 1 ? 0 : Double(splits * rows * columns * channelGroups) * 32 / Double(computeUnits) + 400_000
      return (product + adding, splits)
    }.min { $0.cost < $1.cost }!
  }

  private static func workGroups(_ tile: Tile, rows: Int, columns: Int, channelGroups: Int) -> Int {
    (rows + tile.rows - 1) / tile.rows * ((columns + tile.columns - 1) / tile.columns) * channelGroups
  }

  /// Work-groups of a split.
  var workGroups: Int { Self.workGroups(tile, rows: rows, columns: columns, channelGroups: channelGroups) }

  /// Columns of the results of all groups of channels, side by side.
  var allColumns: Int { columns * channelGroups }

  /// Bytes of the partial sums, if there are any.
  var workspaces: [Int] { splits == 1 ? [] : [splits * rows * allColumns * 4] }

  /// The same product, its depth cut into the same parts, by groups of at most so many items; nil where there are no such tiles.
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
  /// Whether the kernel can have these sizes, and the device such a group.
  func suits(_ factors: TiledPlan.Factors, _ traits: DeviceTraits) -> Bool {
    if case .rounded(let perWord, _) = factors {
      // A warp owns 8·itemRows × 32, and an instruction takes eight words of depth.
      guard itemColumns == 8, rows % (8 * itemRows) == 0, columns % 32 == 0, depth / perWord % 8 == 0 else { return false }
    }
    return items % 32 == 0 && items <= traits.largestGroup && byteCount(factors) <= traits.localMemory
  }

  /// The same with slices as deep as two instructions.
  func rounding(_ factors: TiledPlan.Factors) -> Self {
    guard case .rounded(let perWord, _) = factors else { return self }
    return Self(rows, columns, 16 * perWord, itemRows, itemColumns)
  }

  /// An estimate of the registers that an item's sums and the loads of the next slice take, from what compilers of GPUs make of the
  /// kernel. Matrix instructions have tiles that were tried by themselves.
  /// - Parameters:
  ///   - inputWidth: values of x loaded at a time.
  ///   - sumRegisters: registers that a sum takes.
  func registers(_ inputWidth: Int, _ factors: TiledPlan.Factors, _ sumRegisters: Int) -> Int {
    guard factors == .float32 else { return 0 }
    let loads = rows * depth / inputWidth / items
    return itemRows * itemColumns * sumRegisters + loads * (inputWidth == 1 ? 8 : 24)
  }

  /// Bytes of local memory.
  private func byteCount(_ factors: TiledPlan.Factors) -> Int {
    let slices = 2 * depth / factors.perWord * (rows + 8 + columns + 8) * 4
    if case .rounded(_, isEmulated: true) = factors { return slices + items * 6 * 4 }
    return slices
  }
}

extension OpenCLBackend {
  /// The plan, or the same with smaller tiles where the registers that its kernel needs allow fewer items than the device does.
  func fitting(_ plan: TiledPlan, _ specialisation: (TiledPlan) -> Specialisation) throws -> TiledPlan {
    var plan = plan
    while case let limit = try maxWorkGroupSize(of: specialisation(plan)), limit < plan.tile.items {
      guard let smaller = plan.withGroups(of: limit, traits) else {
        let kernel = specialisation(plan).kernel
        throw Failure("\(name) runs \(kernel) in work-groups of \(limit) at most, too few for any of its tiles")
      }
      plan = smaller
    }
    return plan
  }

  /// The convolution or filter gradient of a plan.
  /// - Parameter b: the filter [R,S,C,K], or dy.
  func multiplyTiles(_ x: Tensor, _ b: Tensor, _ problem: ConvolutionProblem, _ plan: TiledPlan, _ ending: Ending) throws {
    // Sums for a filter are stored as float32 whatever x is stored as, as partial ones are.
    let isSplit = plan.isTransposed || plan.splits > 1
    let sums = plan.splits > 1 ? try tensor([plan.splits, plan.rows, plan.allColumns]) : ending.y
    let result = plan.isTransposed ? ending.y.byteCount : problem.written(x.type) * (ending.accumulate ? 2 : 1)
    let strides: [Argument] = [.int(problem.yImage), .int(problem.yRow), .int(problem.yColumn), .int(problem.yStart)]

    func specialisation(_ plan: TiledPlan) -> Specialisation {
      Specialisation(
        .convolutionTiled, "convolution_tiled", plan.defines, ["STRIDE": problem.stride, "SPLIT": isSplit ? 1 : 0],
        groups(problem.groups), isSplit ? [:] : ending.defines, x.type.storage)
    }
    let plan = try fitting(plan, specialisation)
    try launch(
      specialisation(plan), global: [plan.workGroups * plan.tile.items, plan.splits], local: [plan.tile.items, 1],
      moving: x.byteCount + b.byteCount + (plan.splits > 1 ? sums.byteCount : result + ending.otherBytes),
      [.buffer(x.buffer), .buffer(b.buffer)] + ending.arguments + [
        .buffer(sums.buffer), .int(plan.isTransposed ? 0 : problem.wStart), .int(problem.n), .int(problem.h), .int(problem.w),
        .int(problem.c), .int(problem.k), .int(problem.p), .int(problem.q), .int(problem.r), .int(problem.s),
        .int(problem.padTop), .int(problem.padLeft),
      ] + strides + [.int(plan.part)])
    guard plan.splits > 1 else { return }
    try launch(
      Specialisation(
        .convolutionTiled, "add_partials", ["VW": plan.width, "ALIGNED": 1, "DENSE": plan.isDense ? 1 : 0], ending.defines,
        ending.y.type.storage),
      global: [plan.rows * plan.allColumns / plan.width], moving: sums.byteCount + result + ending.otherBytes,
      [.buffer(sums.buffer)] + ending.arguments + [
        .int(plan.rows * plan.allColumns), .int(plan.splits), .int(problem.p), .int(problem.q), .int(problem.k),
      ] + strides)
  }
}
