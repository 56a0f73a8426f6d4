import Compute
import Kernels
import OpenCL

/// How Winograd's convolution of stride 1, or its filter gradient, runs as a batch of products, one for each point of a transformed tile
/// (`winograd_batched.cl`, `batched_product.cl`): the form for GPUs.
struct BatchedPlan: Hashable {
  /// A tile's side in outputs, ``DeviceTraits/winogradSide`` or ``DeviceTraits/forwardWinogradSide``.
  let side: Int
  /// Input and output channels, and how many a work-item transforms.
  let c, k, width: Int
  /// Tiles in a column, in a row, and in all images.
  let down, across, tiles: Int
  /// The product at one point of the tiles: [tiles,C]·[C,K], or for the filter gradient [tiles,C]ᵀ·[tiles,K].
  let product: TiledPlan

  /// The convolution's plan. Nil where another algorithm was chosen, the shape is not one for Winograd, or, without a choice, tiles
  /// of the filter itself serve better.
  /// - Parameter isTraining: whether it is the forward pass of training.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, isTraining: Bool) {
    self.init(problem, traits, side: isTraining ? traits.forwardWinogradSide : traits.winogradSide, isGradient: false)
  }

  /// The filter gradient's plan; nil as for the convolution.
  init?(filterGradient geometry: Conv2D, _ traits: DeviceTraits) {
    self.init(ConvolutionProblem(forward: geometry), traits, side: traits.winogradSide, isGradient: true)
  }

  private init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, side: Int, isGradient: Bool) {
    guard problem.r == 3, problem.s == 3, problem.stride == 1, problem.groups == 1, problem.isDense, problem.wStart == 0
    else { return nil }
    (c, k) = (problem.c, problem.k)
    switch traits.choice?.algorithm {
    case .batched: break
    case nil: guard Self.pays(problem, traits, side: side) else { return nil }
    case .direct, .tiled, .plain, .winograd, .product: return nil
    }
    // Never less exact than the device's policy says.
    self.side = traits.chosen("M") { [2, 4].contains($0) && $0 <= side } ?? side
    // A tile of four outputs and vectors of two is 72 floats in registers.
    width = min(2, traits.vectorWidth(dividing: c | k))
    (down, across) = ((problem.p + self.side - 1) / self.side, (problem.q + self.side - 1) / self.side)
    tiles = problem.n * down * across

    // Each point has its share of the device. A convolution's sums are not cut: their transform has to follow.
    let positions = (self.side + 2) * (self.side + 2)
    var share = traits
    share.computeUnits = max(1, traits.computeUnits / positions)
    let numbers = traits.choice?.numbers ?? [:]
    share.choice = ConvolutionChoice(.tiled, isGradient ? numbers : numbers.merging(["SPLITS": 1]) { $1 })
    let matrix = Conv2D(input: [1, 1, tiles, c], filter: [1, 1, c, k])
    let plan =
      isGradient
      ? TiledPlan(filterGradient: matrix, .float32, share) : TiledPlan(ConvolutionProblem(forward: matrix), .float32, share)
    guard let plan else { return nil }
    product = plan
    let largest = workspaces(isGradient: isGradient).max() ?? 0
    guard largest <= traits.largestBuffer else { return nil }
  }

  /// Whether fewer multiplications are worth more traffic, by default. A tile of M×M outputs moves (M+2)² points of both sides to memory and
  /// back and saves 9·M² − (M+2)² multiply-adds a channel of the other side: at some 15 multiply-adds in the time of a float, as GPUs
  /// with fast memory have, that pays from about 90 channels on with M = 2 and from 40 on with M = 4. And four kernels must not take
  /// longer to start than the one that they stand in for takes to run. Matrix instructions multiply too fast for it.
  private static func pays(_ problem: ConvolutionProblem, _ traits: DeviceTraits, side: Int) -> Bool {
    guard traits.kernelClass == .localTiled, traits.math == .exact || traits.matrixInstructions == .none else { return false }
    let macs = problem.n * problem.p * problem.q * problem.c * problem.k * 9
    return min(problem.c, problem.k) >= (side == 2 ? 128 : 64) && macs / traits.computeUnits >= 8_000_000
  }

  /// Points of a transformed tile.
  var positions: Int { (side + 2) * (side + 2) }

  /// Elements of the transformed filter.
  var filterCount: Int { positions * c * k }

  /// Bytes of the blocks that the convolution and the filter gradient borrow: the transformed filter or the sums, the transformed
  /// inputs, and the products or transformed output gradients.
  func workspaces(isGradient: Bool) -> [Int] {
    [(isGradient ? product.splits : 1) * filterCount, positions * tiles * c, positions * tiles * k].map { $0 * 4 }
  }

  /// What the kernels of the transforms are specialised by.
  var defines: KeyValuePairs<String, Int> { ["VW": width, "M": side, "C": c, "K": k] }

  /// The numbers of the shape as arguments of the kernels.
  var sizes: [Kernel.Argument] { [c, k, c, k, 1].map { .int($0) } }
}

extension OpenCLBackend {
  /// The filter [3,3,C,K] transformed, [positions,C,K].
  func transform(_ filter: Tensor, _ plan: BatchedPlan, into transformed: Tensor) throws {
    try launch(
      Specialisation(.winogradBatched, "load_filters", plan.defines), on: grid(plan.c, plan.k, plan),
      [.buffer(filter.buffer), .buffer(transformed.buffer)] + plan.sizes)
  }

  /// y = x ∗ filter through the transformed domain.
  /// - Parameters:
  ///   - filter: [3,3,C,K], or what ``transform(_:_:into:)`` made of it.
  ///   - isTransformed: which of the two.
  func winograd(
    _ x: Tensor, _ filter: Tensor, isTransformed: Bool, _ problem: ConvolutionProblem, _ plan: BatchedPlan, _ ending: Ending
  ) throws {
    let transformed = isTransformed ? filter : try tensor([plan.positions, plan.c, plan.k])
    if !isTransformed { try transform(filter, plan, into: transformed) }
    let inputs = try loadInputs(x, problem, plan)
    let products = try tensor([plan.positions, plan.tiles, plan.k])
    try multiplyBatch(inputs, transformed, plan, into: products)
    try launch(
      Specialisation(.winogradBatched, "store_outputs", plan.defines, ending.defines, x.type.storage),
      on: grid(plan.tiles, plan.k, plan), moving: products.byteCount + ending.bytes,
      [.buffer(products.buffer)] + ending.arguments + [
        .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across), .int(plan.tiles),
      ] + plan.sizes)
  }

  /// dw through the transformed domain.
  func winogradFilterGradient(_ x: Tensor, _ dy: Tensor, _ problem: ConvolutionProblem, _ plan: BatchedPlan, into dw: Tensor)
    throws
  {
    let sums = try tensor([plan.product.splits, plan.positions, plan.c, plan.k])
    let inputs = try loadInputs(x, problem, plan)
    let gradients = try tensor([plan.positions, plan.tiles, plan.k])
    try launch(
      Specialisation(.winogradBatched, "load_gradients", plan.defines, dy.type.storage),
      on: grid(plan.tiles, plan.k, plan),
      [
        .buffer(dy.buffer), .buffer(gradients.buffer), .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
        .int(plan.tiles),
      ] + plan.sizes)
    try multiplyBatch(inputs, gradients, plan, into: sums)
    try launch(
      Specialisation(.winogradBatched, "store_filter_gradients", plan.defines),
      on: grid(plan.c, plan.k, plan),
      [.buffer(sums.buffer), .buffer(dw.buffer), .int(plan.product.splits)] + plan.sizes)
  }

  /// Work-items for the vectors of a matrix at one position. Transforms take up to 180 registers an item.
  private func grid(_ rows: Int, _ columns: Int, _ plan: BatchedPlan) -> WorkGroup.Grid {
    traits.grid(items: rows * columns / plan.width, inGroupsOf: 64)
  }

  /// The transformed inputs of all tiles, [positions,tiles,C].
  private func loadInputs(_ x: Tensor, _ problem: ConvolutionProblem, _ plan: BatchedPlan) throws -> Tensor {
    let inputs = try tensor([plan.positions, plan.tiles, plan.c])
    try launch(
      Specialisation(.winogradBatched, "load_inputs", plan.defines, x.type.storage),
      on: grid(plan.tiles, plan.c, plan),
      [
        .buffer(x.buffer), .buffer(inputs.buffer), .int(problem.h), .int(problem.w), .int(problem.padTop), .int(problem.padLeft),
        .int(plan.down), .int(plan.across), .int(plan.tiles),
      ] + plan.sizes)
    return inputs
  }

  /// The products at all positions: inputs [positions,tiles,C] with a transformed filter or with transformed output gradients.
  private func multiplyBatch(_ inputs: Tensor, _ factors: Tensor, _ plan: BatchedPlan, into sums: Tensor) throws {
    func specialisation(_ plan: TiledPlan) -> Specialisation { Specialisation(.batchedProduct, "batched_product", plan.defines) }
    let product = try fitting(plan.product, specialisation)
    try launch(
      specialisation(product), global: [product.workGroups * product.tile.items, product.splits, plan.positions],
      local: [product.tile.items, 1, 1],
      [
        .buffer(inputs.buffer), .buffer(factors.buffer), .buffer(sums.buffer), .int(plan.tiles), .int(plan.c), .int(plan.k),
        .int(product.part),
      ])
  }
}
