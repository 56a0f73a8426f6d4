import Compute
import Kernels
import OpenCL

/// Plan for Winograd's convolution of stride 1, or its filter gradient, as a batch of matrix products, one for each point of a
/// transformed tile (`winograd_batched.cl`, `batched_product.cl`). This form is for GPUs.
struct BatchedPlan: Hashable {
  /// Side of a tile in outputs, ``DeviceTraits/winogradSide`` or ``DeviceTraits/forwardWinogradSide``, unless the tuner chose a
  /// smaller one.
  let side: Int
  /// Input channels, output channels, and channels that one work-item transforms.
  let c, k, width: Int
  /// Number of tiles in a column, in a row, and in all images.
  let down, across, tiles: Int
  /// Product at one point of the tiles: [tiles,C]·[C,K], or for the filter gradient [tiles,C]ᵀ·[tiles,K].
  let product: TiledPlan

  /// Plans the convolution. Nil if another algorithm was chosen, if the shape does not suit Winograd, or, without a choice, if a
  /// product with the untransformed filter is faster.
  /// - Parameter isTraining: whether this is the forward pass of training.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, isTraining: Bool) {
    self.init(problem, traits, side: isTraining ? traits.forwardWinogradSide : traits.winogradSide, isGradient: false)
  }

  /// Plans the filter gradient; nil under the same conditions as for the convolution.
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
    // A choice never makes the result less exact than the device's policy allows.
    self.side = traits.chosen("M") { [2, 4].contains($0) && $0 <= side } ?? side
    // A tile of side four and vectors of two take 72 floats in registers.
    width = min(2, traits.vectorWidth(dividing: c | k))
    (down, across) = ((problem.p + self.side - 1) / self.side, (problem.q + self.side - 1) / self.side)
    tiles = problem.n * down * across

    // Each point gets its share of the device. A convolution's sums are not split, because their transform has to follow.
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

  /// Returns the bytes of the workspaces of the convolution or the filter gradient: the transformed filter or the sums, the
  /// transformed inputs, and the products or the transformed output gradients.
  func workspaces(isGradient: Bool) -> [Int] {
    [(isGradient ? product.splits : 1) * filterCount, positions * tiles * c, positions * tiles * k].map { $0 * 4 }
  }

  /// Constants that specialize the kernels of the transforms.
  var defines: KeyValuePairs<String, Int> { ["VW": width, "M": side, "C": c, "K": k] }

  /// Sizes of the shape as kernel arguments.
  var sizes: [Kernel.Argument] { [c, k, c, k, 1].map { .int($0) } }
}

extension OpenCLBackend {
  /// Transforms the filter [3,3,C,K] into [positions,C,K].
  func transform(_ filter: Tensor, _ plan: BatchedPlan, into transformed: Tensor) throws {
    try launch(
      KernelSpecialization(.winogradBatched, "load_filters", plan.defines), on: grid(plan.c, plan.k, plan),
      [.buffer(filter.buffer), .buffer(transformed.buffer)] + plan.sizes)
  }

  /// Computes y = x ∗ filter in the transformed domain.
  /// - Parameters:
  ///   - filter: [3,3,C,K], or the result of ``transform(_:_:into:)`` for it.
  ///   - isTransformed: whether `filter` is that result.
  func winograd(
    _ x: Tensor, _ filter: Tensor, isTransformed: Bool, _ problem: ConvolutionProblem, _ plan: BatchedPlan, _ ending: Ending
  ) throws {
    let transformed = isTransformed ? filter : try tensor([plan.positions, plan.c, plan.k])
    if !isTransformed { try transform(filter, plan, into: transformed) }
    let inputs = try loadInputs(x, problem, plan)
    let products = try tensor([plan.positions, plan.tiles, plan.k])
    try multiplyBatch(inputs, transformed, plan, into: products)
    try launch(
      KernelSpecialization(.winogradBatched, "store_outputs", plan.defines, ending.defines, x.type.storage),
      on: grid(plan.tiles, plan.k, plan), moving: products.byteCount + ending.bytes,
      [.buffer(products.buffer)] + ending.arguments + [
        .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across), .int(plan.tiles),
      ] + plan.sizes)
  }

  /// Computes dw in the transformed domain.
  func winogradFilterGradient(_ x: Tensor, _ dy: Tensor, _ problem: ConvolutionProblem, _ plan: BatchedPlan, into dw: Tensor)
    throws
  {
    let sums = try tensor([plan.product.splits, plan.positions, plan.c, plan.k])
    let inputs = try loadInputs(x, problem, plan)
    let gradients = try tensor([plan.positions, plan.tiles, plan.k])
    try launch(
      KernelSpecialization(.winogradBatched, "load_gradients", plan.defines, dy.type.storage),
      on: grid(plan.tiles, plan.k, plan),
      [
        .buffer(dy.buffer), .buffer(gradients.buffer), .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
        .int(plan.tiles),
      ] + plan.sizes)
    try multiplyBatch(inputs, gradients, plan, into: sums)
    try launch(
      KernelSpecialization(.winogradBatched, "store_filter_gradients", plan.defines),
      on: grid(plan.c, plan.k, plan),
      [.buffer(sums.buffer), .buffer(dw.buffer), .int(plan.product.splits)] + plan.sizes)
  }

  /// Returns one work-item for each vector of a matrix at one position. Transforms take up to 180 registers per work-item.
  private func grid(_ rows: Int, _ columns: Int, _ plan: BatchedPlan) -> WorkGroup.Grid {
    traits.grid(items: rows * columns / plan.width, inGroupsOf: 64)
  }

  /// Returns the transformed inputs of all tiles, [positions,tiles,C].
  private func loadInputs(_ x: Tensor, _ problem: ConvolutionProblem, _ plan: BatchedPlan) throws -> Tensor {
    let inputs = try tensor([plan.positions, plan.tiles, plan.c])
    try launch(
      KernelSpecialization(.winogradBatched, "load_inputs", plan.defines, x.type.storage),
      on: grid(plan.tiles, plan.c, plan),
      [
        .buffer(x.buffer), .buffer(inputs.buffer), .int(problem.h), .int(problem.w), .int(problem.padTop), .int(problem.padLeft),
        .int(plan.down), .int(plan.across), .int(plan.tiles),
      ] + plan.sizes)
    return inputs
  }

  /// Multiplies at all positions: inputs [positions,tiles,C] by a transformed filter or by transformed output gradients.
  private func multiplyBatch(_ inputs: Tensor, _ factors: Tensor, _ plan: BatchedPlan, into sums: Tensor) throws {
    func specialization(_ plan: TiledPlan) -> KernelSpecialization {
      KernelSpecialization(.batchedProduct, "batched_product", plan.defines)
    }
    let product = try fitting(plan.product, specialization)
    try launch(
      specialization(product), global: [product.workGroups * product.tile.items, product.splits, plan.positions],
      local: [product.tile.items, 1, 1],
      [
        .buffer(inputs.buffer), .buffer(factors.buffer), .buffer(sums.buffer), .int(plan.tiles), .int(plan.c), .int(plan.k),
        .int(product.part),
      ])
  }
}
