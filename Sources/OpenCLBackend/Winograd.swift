import Compute
import Kernels

/// How `winograd.cl` or `winograd_staged.cl` is specialised and launched for a convolution of stride 1, or for its filter gradient.
struct WinogradPlan: Hashable {
  /// A tile's side in outputs, ``DeviceTraits/winogradSide`` or ``DeviceTraits/forwardWinogradSide``.
  let side: Int
  /// Floats in a vector, and vectors of output channels in a register tile.
  let width, channelVectors: Int
  /// Tiles in a register tile of the convolution, and input channels in one of the filter gradient.
  let tileRows, inputChannels: Int
  /// Whether the stages go through buffers (`winograd_staged.cl`) and not through a work-item's local memory (`winograd.cl`).
  let isStaged: Bool
  /// The tiles rounded up to whole register tiles.
  let slots: Int
  /// Tiles that a work-item holds at a time.
  let tilesAtOnce: Int
  /// Tiles in a column, in a row, and in all images.
  let down, across, tiles: Int
  /// Work-items of the filter gradient, each with its own sums.
  let splits: Int
  /// Floats between neighbouring tiles of the transformed inputs and output gradients: pixels a large power of two apart would all
  /// want the same few lines of the first cache.
  let inputPitch, gradientPitch: Int
  /// Bytes of local memory: transformed inputs, and products or transformed output gradients.
  let inputBytes, otherBytes: Int

  /// The convolution's plan. Nil where the direct kernel serves better or the shape is not one for Winograd: other filters and
  /// strides, and channels that are few or not whole vectors.
  /// - Parameter isTraining: whether it is the forward pass of training.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, isTraining: Bool) {
    let isDense = problem.yColumn == problem.k && problem.yRow == problem.q * problem.k && problem.yStart == 0
    guard isDense, problem.wStart == 0 else { return nil }
    self.init(problem, traits, side: isTraining ? traits.forwardWinogradSide : traits.winogradSide, isGradient: false)
  }

  /// The filter gradient's plan; nil as for the convolution.
  init?(filterGradient geometry: Conv2D, _ traits: DeviceTraits) {
    self.init(ConvolutionProblem(forward: geometry), traits, side: traits.winogradSide, isGradient: true)
  }

  private init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, side: Int, isGradient: Bool) {
    guard traits.isCPU, problem.r == 3, problem.s == 3, problem.stride == 1 else { return nil }
    width = traits.vectorWidth
    self.side = side
    let (c, k) = (problem.c, problem.k)
    guard c % width == 0, k % width == 0, min(c, k) >= Self.fewestChannels else { return nil }
    channelVectors = k % (2 * width) == 0 ? 2 : 1
    tileRows = max(1, min(12, traits.accumulators / channelVectors))
    inputChannels = min(8, width)
    func pitch(_ channels: Int) -> Int { channels >= 256 ? channels + 16 : channels }
    (inputPitch, gradientPitch) = (pitch(c), pitch(k))
    (down, across) = ((problem.p + side - 1) / side, (problem.q + side - 1) / side)
    tiles = problem.n * down * across
    slots = (tiles + tileRows - 1) / tileRows * tileRows
    let positions = (side + 2) * (side + 2)
    isStaged = positions * c * k * 4 > Self.filterRoom
    if isStaged {
      // As many tiles as keep their inputs at one position in the cache beside a block of the filter.
      tilesAtOnce = max(1, min(slots, (256 << 10) / (inputPitch * 4)) / tileRows) * tileRows
      (inputBytes, otherBytes, splits) = (0, 0, 1)
      return
    }
    // As many tiles as stay in a core's second cache, but so few that every core gets work.
    let unit = isGradient ? 16 : tileRows
    let channels = inputPitch + (isGradient ? gradientPitch : channelVectors * width)
    let room = min(traits.localMemory, 400 << 10) / (positions * channels * 4 * unit)
    let units = min(room, max(1, tiles / (unit * traits.computeUnits * 2)), 2)
    guard units > 0 else { return nil }
    tilesAtOnce = units * unit
    inputBytes = positions * tilesAtOnce * inputPitch * 4
    otherBytes = positions * tilesAtOnce * (channels - inputPitch) * 4
    splits = min(traits.computeUnits * 2, (tiles + tilesAtOnce - 1) / tilesAtOnce)
  }

  /// With fewer channels the transforms cost more than the multiplications that they save.
  private static let fewestChannels = 32

  /// Bytes of a transformed filter, or of its gradient's sums, that a core's own cache holds beside the tiles.
  private static let filterRoom = 640 << 10

  /// What all kernels of a plan are specialised by, so that they share a program.
  func defines(_ c: Int, _ k: Int) -> KeyValuePairs<String, Int> {
    [
      "VW": width, "M": side, "C": c, "K": k, "PITCH": inputPitch, "GPITCH": gradientPitch, "TB": tilesAtOnce, "TR": tileRows,
      "TC": channelVectors, "TI": inputChannels,
    ]
  }

  /// Output channels that lie side by side in the transformed filter.
  var panel: Int { width * channelVectors }

  /// Points of a transformed tile.
  var positions: Int { (side + 2) * (side + 2) }

  /// Work-items of the convolution in one pass.
  var items: Int { (tiles + tilesAtOnce - 1) / tilesAtOnce }

  /// Floats of the transformed filter, or of the filter gradient's sums.
  func filterCount(_ c: Int, _ k: Int) -> Int { splits * positions * c * k }

  /// Bytes of the blocks that the convolution and the filter gradient borrow: the first is the transformed filter or the sums, then
  /// for stages the transformed inputs and the products or transformed output gradients.
  func workspaces(_ c: Int, _ k: Int, isGradient: Bool) -> [Int] {
    let filter = (isGradient ? filterCount(c, k) : positions * c * k) * 4
    let others = [slots * inputPitch, slots * (isGradient ? gradientPitch : k)]
    return [filter] + (isStaged ? others.map { positions * $0 * 4 } : [])
  }
}

extension OpenCLBackend {
  /// A filter [3,3,C,K] transformed for a plan.
  func transformed(_ filter: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan) throws -> Tensor {
    let transformed = try tensor([plan.positions, problem.c, problem.k])
    try transform(filter, problem, plan, into: transformed)
    return transformed
  }

  func transform(_ filter: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, into transformed: Tensor) throws {
    try launch(
      Specialisation(.winograd, "winograd_filter", plan.defines(problem.c, problem.k)),
      global: [problem.k / plan.panel, problem.c], [.buffer(filter.buffer), .buffer(transformed.buffer)])
  }

  /// y = x ∗ filter through the transformed domain, the filter being there already.
  func winograd(
    _ x: Tensor, _ transformed: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, _ ending: Ending
  ) throws {
    let defines = plan.defines(problem.c, problem.k)
    guard plan.isStaged else {
      return try launch(
        Specialisation(.winograd, "winograd", defines, ending.defines), global: [plan.items], groupsOfOne: true,
        [.buffer(x.buffer), .buffer(transformed.buffer)] + ending.arguments + onePassArguments(problem, plan))
    }
    let inputs = try loadInputs(x, problem, plan)
    let products = try tensor([plan.slots, plan.positions, problem.k])
    try launch(
      Specialisation(.winogradStaged, "products", defines),
      global: [(plan.slots + plan.tilesAtOnce - 1) / plan.tilesAtOnce, problem.k / plan.panel, plan.positions],
      [.buffer(inputs.buffer), .buffer(transformed.buffer), .buffer(products.buffer), .int(plan.slots)])
    try launch(
      Specialisation(.winogradStaged, "store_outputs", defines, ending.defines), global: [plan.tiles],
      [.buffer(products.buffer)] + ending.arguments + [
        .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
      ])
  }

  /// The transformed inputs of all tiles, [positions, slots, pitch].
  private func loadInputs(_ x: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan) throws -> Tensor {
    let inputs = try tensor([plan.positions, plan.slots, plan.inputPitch])
    try launch(
      Specialisation(.winogradStaged, "load_inputs", plan.defines(problem.c, problem.k)), global: [plan.slots],
      [
        .buffer(x.buffer), .buffer(inputs.buffer), .int(problem.h), .int(problem.w), .int(problem.padTop), .int(problem.padLeft),
        .int(plan.down), .int(plan.across), .int(plan.tiles),
      ])
    return inputs
  }

  /// dw through the transformed domain.
  func winogradFilterGradient(_ x: Tensor, _ dy: Tensor, _ g: Conv2D, _ plan: WinogradPlan, into dw: Tensor) throws {
    let sums = try tensor([plan.filterCount(g.c, g.k)])
    let problem = ConvolutionProblem(forward: g)
    let defines = plan.defines(g.c, g.k)
    if plan.isStaged {
      try sumStaged(x, dy, problem, plan, into: sums)
    } else {
      try launch(
        Specialisation(.winograd, "winograd_filter_gradient", defines), global: [plan.splits], groupsOfOne: true,
        [.buffer(x.buffer), .buffer(dy.buffer), .buffer(sums.buffer)] + onePassArguments(problem, plan))
    }
    try launch(
      Specialisation(.winograd, "winograd_filter_gradient_output", defines), global: [g.k / plan.width, g.c],
      [.buffer(sums.buffer), .buffer(dw.buffer), .int(plan.splits)])
  }

  private func sumStaged(
    _ x: Tensor, _ dy: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, into sums: Tensor
  ) throws {
    let defines = plan.defines(problem.c, problem.k)
    let inputs = try loadInputs(x, problem, plan)
    let gradients = try tensor([plan.positions, plan.slots, plan.gradientPitch])
    try launch(
      Specialisation(.winogradStaged, "load_gradients", defines), global: [plan.slots],
      [
        .buffer(dy.buffer), .buffer(gradients.buffer), .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
        .int(plan.tiles),
      ])
    try launch(
      Specialisation(.winogradStaged, "filter_gradient_products", defines),
      global: [problem.k / plan.panel, problem.c / plan.inputChannels, plan.positions],
      [.buffer(inputs.buffer), .buffer(gradients.buffer), .buffer(sums.buffer), .int(plan.slots)])
  }

  /// The arguments after the buffers, which both one-pass kernels share.
  private func onePassArguments(_ problem: ConvolutionProblem, _ plan: WinogradPlan) -> [Argument] {
    [
      .local(plan.inputBytes), .local(plan.otherBytes), .int(problem.h), .int(problem.w), .int(problem.p), .int(problem.q),
      .int(problem.padTop), .int(problem.padLeft), .int(plan.down), .int(plan.across), .int(plan.tiles),
    ]
  }
}
