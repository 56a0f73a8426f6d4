import Compute
import Kernels

/// How `winograd.cl` or `winograd_staged.cl` is specialised and launched for a convolution of stride 1, or for its filter gradient.
struct WinogradPlan: Hashable {
  /// A tile's side in outputs, ``DeviceTraits/winogradSide``.
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
  /// Bytes of local memory: transformed inputs, and products or transformed output gradients.
  let inputBytes, otherBytes: Int

  /// The convolution's plan. Nil where the direct kernel serves better or the shape is not one for Winograd: other filters and
  /// strides, and channels that are few or not whole vectors.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits) {
    let isDense = problem.yColumn == problem.k && problem.yRow == problem.q * problem.k && problem.yStart == 0
    guard isDense, problem.wStart == 0 else { return nil }
    self.init(problem, traits, isGradient: false)
  }

  /// The filter gradient's plan; nil as for the convolution.
  init?(filterGradient geometry: Conv2D, _ traits: DeviceTraits) {
    self.init(ConvolutionProblem(forward: geometry), traits, isGradient: true)
  }

  private init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, isGradient: Bool) {
    guard traits.allows(.winograd), traits.isCPU, problem.r == 3, problem.s == 3, problem.stride == 1 else { return nil }
    width = traits.vectorWidth
    // Never less exact than the device's policy says.
    side = traits.chosen("M") { [2, 4].contains($0) && $0 <= traits.winogradSide } ?? traits.winogradSide
    let (c, k) = (problem.c, problem.k)
    guard c % width == 0, k % width == 0, min(c, k) >= 32 || traits.choice != nil else { return nil }
    let vectors = k / width
    channelVectors = traits.chosen("TC") { (1...4).contains($0) && vectors % $0 == 0 } ?? (vectors % 2 == 0 ? 2 : 1)
    let mostRows = max(1, traits.accumulators / channelVectors)
    tileRows = traits.chosen("TR") { (1...mostRows).contains($0) } ?? min(12, mostRows)
    inputChannels = traits.chosen("TI") { (1...mostRows).contains($0) && c % $0 == 0 } ?? min(8, width)
    (down, across) = ((problem.p + side - 1) / side, (problem.q + side - 1) / side)
    tiles = problem.n * down * across
    slots = (tiles + tileRows - 1) / tileRows * tileRows
    let positions = (side + 2) * (side + 2)
    isStaged = traits.chosen("STAGED") { $0 <= 1 }.map { $0 == 1 } ?? (positions * c * k * 4 > Self.filterRoom)
    if isStaged {
      // As many tiles as keep their inputs at one position in the cache beside a block of the filter.
      tilesAtOnce = max(1, min(slots, (256 << 10) / (c * 4)) / tileRows) * tileRows
      (inputBytes, otherBytes, splits) = (0, 0, 1)
      return
    }
    // As many tiles as stay in a core's second cache, but so few that every core gets work.
    let unit = isGradient ? 16 : tileRows
    let channels = c + (isGradient ? k : channelVectors * width)
    let room = min(traits.localMemory, 400 << 10) / (positions * channels * 4 * unit)
    let units = min(room, max(1, tiles / (unit * traits.computeUnits * 2)), 2)
    guard units > 0 else { return nil }
    tilesAtOnce = units * unit
    inputBytes = positions * tilesAtOnce * c * 4
    otherBytes = positions * tilesAtOnce * (channels - c) * 4
    splits = min(traits.computeUnits * 2, (tiles + tilesAtOnce - 1) / tilesAtOnce)
  }

  /// Bytes of a transformed filter, or of its gradient's sums, that a core's own cache holds beside the tiles.
  private static let filterRoom = 640 << 10

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
    return isStaged ? [filter, positions * slots * c * 4, positions * slots * k * 4] : [filter]
  }
}

extension OpenCLBackend {
  /// y (+)= x ∗ filter through the transformed domain.
  func winograd(
    _ x: Tensor, _ filter: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, accumulate: Bool, into y: Tensor
  ) throws {
    let transformed = try tensor([plan.positions, problem.c, problem.k])
    try launch(
      Specialisation(.winograd, "winograd_filter", ["VW": plan.width, "M": plan.side]),
      global: [problem.k / plan.width, problem.c],
      [.buffer(filter.buffer), .buffer(transformed.buffer), .int(problem.c), .int(problem.k)])
    if plan.isStaged {
      return try winogradStaged(x, transformed, problem, plan, accumulate: accumulate, into: y)
    }
    try launch(
      Specialisation(
        .winograd, "winograd",
        [
          "VW": plan.width, "M": plan.side, "TB": plan.tilesAtOnce, "TR": plan.tileRows, "TC": plan.channelVectors,
          "ACCUMULATE": accumulate ? 1 : 0,
        ]),
      global: [plan.items], groupsOfOne: true,
      [.buffer(x.buffer), .buffer(transformed.buffer), .buffer(y.buffer)] + winogradSizes(problem, plan))
  }

  private func winogradStaged(
    _ x: Tensor, _ transformed: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, accumulate: Bool, into y: Tensor
  ) throws {
    let inputs = try loadInputs(x, problem, plan)
    let products = try tensor([plan.slots, plan.positions, problem.k])
    try launch(
      Specialisation(
        .winogradStaged, "products",
        [
          "VW": plan.width, "M": plan.side, "TB": plan.tilesAtOnce, "TR": plan.tileRows, "TC": plan.channelVectors,
        ]),
      global: [
        (plan.slots + plan.tilesAtOnce - 1) / plan.tilesAtOnce, problem.k / (plan.channelVectors * plan.width), plan.positions,
      ],
      [
        .buffer(inputs.buffer), .buffer(transformed.buffer), .buffer(products.buffer), .int(plan.slots), .int(problem.c),
        .int(problem.k),
      ])
    try launch(
      Specialisation(
        .winogradStaged, "store_outputs", ["VW": plan.width, "M": plan.side, "ACCUMULATE": accumulate ? 1 : 0]),
      global: [plan.tiles],
      [
        .buffer(products.buffer), .buffer(y.buffer), .int(problem.p), .int(problem.q), .int(problem.k), .int(plan.down),
        .int(plan.across),
      ])
  }

  /// The transformed inputs of all tiles, [positions, slots, C].
  private func loadInputs(_ x: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan) throws -> Tensor {
    let inputs = try tensor([plan.positions, plan.slots, problem.c])
    try launch(
      Specialisation(.winogradStaged, "load_inputs", ["VW": plan.width, "M": plan.side]), global: [plan.slots],
      [
        .buffer(x.buffer), .buffer(inputs.buffer), .int(problem.h), .int(problem.w), .int(problem.c), .int(problem.padTop),
        .int(problem.padLeft), .int(plan.down), .int(plan.across), .int(plan.tiles),
      ])
    return inputs
  }

  /// dw through the transformed domain.
  func winogradFilterGradient(_ x: Tensor, _ dy: Tensor, _ g: Conv2D, _ plan: WinogradPlan, into dw: Tensor) throws {
    let sums = try tensor([plan.filterCount(g.c, g.k)])
    let problem = ConvolutionProblem(forward: g)
    if plan.isStaged {
      try sumStaged(x, dy, problem, plan, into: sums)
    } else {
      try launch(
        Specialisation(
          .winograd, "winograd_filter_gradient",
          [
            "VW": plan.width, "M": plan.side, "TB": plan.tilesAtOnce, "TI": plan.inputChannels, "TC": plan.channelVectors,
          ]),
        global: [plan.splits], groupsOfOne: true,
        [.buffer(x.buffer), .buffer(dy.buffer), .buffer(sums.buffer)] + winogradSizes(problem, plan))
    }
    try launch(
      Specialisation(.winograd, "winograd_filter_gradient_output", ["VW": plan.width, "M": plan.side]),
      global: [g.k / plan.width, g.c],
      [.buffer(sums.buffer), .buffer(dw.buffer), .int(g.c), .int(g.k), .int(plan.splits)])
  }

  private func sumStaged(
    _ x: Tensor, _ dy: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, into sums: Tensor
  ) throws {
    let inputs = try loadInputs(x, problem, plan)
    let gradients = try tensor([plan.positions, plan.slots, problem.k])
    try launch(
      Specialisation(.winogradStaged, "load_gradients", ["VW": plan.width, "M": plan.side]), global: [plan.slots],
      [
        .buffer(dy.buffer), .buffer(gradients.buffer), .int(problem.p), .int(problem.q), .int(problem.k), .int(plan.down),
        .int(plan.across), .int(plan.tiles),
      ])
    try launch(
      Specialisation(
        .winogradStaged, "filter_gradient_products",
        ["VW": plan.width, "M": plan.side, "TI": plan.inputChannels, "TC": plan.channelVectors]),
      global: [problem.k / (plan.channelVectors * plan.width), problem.c / plan.inputChannels, plan.positions],
      [
        .buffer(inputs.buffer), .buffer(gradients.buffer), .buffer(sums.buffer), .int(plan.slots), .int(problem.c),
        .int(problem.k),
      ])
  }

  /// The arguments after the buffers, which both one-pass kernels share.
  private func winogradSizes(_ problem: ConvolutionProblem, _ plan: WinogradPlan) -> [Argument] {
    [
      .local(plan.inputBytes), .local(plan.otherBytes), .int(problem.h), .int(problem.w), .int(problem.c), .int(problem.k),
      .int(problem.p), .int(problem.q), .int(problem.padTop), .int(problem.padLeft), .int(plan.down), .int(plan.across),
      .int(plan.tiles),
    ]
  }
}
