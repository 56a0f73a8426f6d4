import Compute
import Kernels
import OpenCL

/// How `winograd.cl` or `winograd_staged.cl` is specialised and launched for a convolution of stride 1, or for its filter gradient.
struct WinogradPlan: Hashable {
  /// A tile's side in outputs, ``DeviceTraits/winogradSide`` or ``DeviceTraits/forwardWinogradSide``.
  let side: Int
  /// Terms in a factor: input channels in the convolution, tiles in the filter gradient.
  let terms: Int
  private let isGradient: Bool
  /// Floats in a vector, and vectors of output channels in a register tile.
  let width, channelVectors: Int
  /// Tiles in a register tile of the convolution, and input channels in one of the filter gradient.
  let tileRows, inputChannels: Int
  /// Whether the stages go through buffers (`winograd_staged.cl`) and not through a work-item's local memory (`winograd.cl`).
  let isStaged: Bool
  /// Tiles, or in the filter gradient `terms` of them each, rounded up to whole register tiles.
  let slots: Int
  /// Slots that a work-item holds at a time.
  let tilesAtOnce: Int
  /// Tiles in a column, in a row, and in all images.
  let down, across, tiles: Int
  /// Work-items of the filter gradient, each with its own sums.
  let splits: Int
  /// Factors between neighbouring slots of the transformed inputs and output gradients: pixels a large power of two apart would all
  /// want the same few lines of the first cache.
  let inputPitch, gradientPitch: Int
  /// Whether many shapes share the kernels: their numbers are arguments.
  let isShared: Bool
  /// Bytes of local memory: transformed inputs, and products or transformed output gradients.
  let inputBytes, otherBytes: Int

  /// The convolution's plan. Nil where the direct kernel serves better or the shape is not one for Winograd: other filters and
  /// strides, and channels that are few or not whole vectors.
  /// - Parameter isTraining: whether it is the forward pass of training.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, isTraining: Bool) {
    guard problem.isDense, problem.wStart == 0 else { return nil }
    self.init(problem, traits, side: isTraining ? traits.forwardWinogradSide : traits.winogradSide, isGradient: false)
  }

  /// The filter gradient's plan; nil as for the convolution.
  init?(filterGradient geometry: Conv2D, _ traits: DeviceTraits) {
    self.init(ConvolutionProblem(forward: geometry), traits, side: traits.winogradSide, isGradient: true)
  }

  private init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, side: Int, isGradient: Bool) {
    guard traits.allows(.winograd), traits.kernelClass == .registerTiled, problem.r == 3, problem.s == 3, problem.stride == 1,
      problem.groups == 1
    else { return nil }
    (self.isGradient, isShared) = (isGradient, problem.isSmall)
    width = traits.vectorWidth
    terms = traits.terms(width: width)
    // The transforms of larger tiles would enlarge the rounding errors of factors of 16 bits until little of these is left.
    let policy = terms == 1 ? side : 2
    // Never less exact than the device's policy says.
    let side = traits.chosen("M") { [2, 4].contains($0) && $0 <= policy } ?? policy
    self.side = side
    let (c, k) = (problem.c, problem.k)
    // With fewer channels the transforms cost more than the multiplications that they save.
    let fewest = traits.choice != nil ? width : side == 2 && !isGradient ? 32 : 16
    guard c % width == 0, k % width == 0, min(c, k) >= fewest else { return nil }
    // A tile of the convolution holds tiles by channels, that of the filter gradient input channels by output channels.
    let most = traits.accumulators >= 16 ? 16 : 8
    let vectors = width
    channelVectors =
      traits.chosen("TC") { (1...4).contains($0) && k % ($0 * vectors) == 0 }
      ?? [isGradient && terms == 1 ? 4 : 2, 2].first { k % ($0 * vectors) == 0 } ?? 1
    let mostRows = max(1, traits.accumulators / channelVectors)
    tileRows = traits.chosen("TR") { (1...mostRows).contains($0) } ?? min(12, mostRows)
    inputChannels = traits.chosen("TI") { (1...mostRows).contains($0) && c % $0 == 0 } ?? min(most / channelVectors, width)
    func pitch(_ factors: Int) -> Int { factors >= 256 ? factors + 16 : factors }
    (inputPitch, gradientPitch) = (pitch(isGradient ? c : c / terms), pitch(k))
    (down, across) = ((problem.p + side - 1) / side, (problem.q + side - 1) / side)
    tiles = problem.n * down * across
    let slotTiles = isGradient ? terms : 1
    slots = ((tiles + slotTiles - 1) / slotTiles + tileRows - 1) / tileRows * tileRows
    let positions = (side + 2) * (side + 2)
    isStaged =
      traits.chosen("STAGED") { $0 <= 1 }.map { $0 == 1 }
      ?? (isGradient ? positions * c * k * 4 > Self.gradientRoom * terms : positions * c * k * 4 / terms > Self.filterRoom)
    if isStaged {
      // As many tiles as keep their inputs at one position in the cache beside a block of the filter.
      tilesAtOnce = max(1, min(slots, (256 << 10) / (inputPitch * 4)) / tileRows) * tileRows
      (inputBytes, otherBytes, splits) = (0, 0, 1)
      return
    }
    // One register tile of the convolution, so that the next one's input can be asked for while this one is multiplied; for the filter
    // gradient more, as all its sums are read and written for each lot. No power of two, which would put the points of a tile into
    // the same few lines of the first cache.
    let channels = inputPitch + (isGradient ? gradientPitch : channelVectors * width)
    let room = min(traits.localMemory, 600 << 10) / (positions * channels * 4)
    tilesAtOnce = isGradient ? min(traits.chosen("TB") { $0 > 0 } ?? 24, room) : tileRows
    guard tilesAtOnce > 0, tilesAtOnce <= room else { return nil }
    inputBytes = positions * tilesAtOnce * inputPitch * 4
    otherBytes = positions * tilesAtOnce * (channels - inputPitch) * 4
    splits = min(traits.computeUnits * 2, (tiles + tilesAtOnce * slotTiles - 1) / (tilesAtOnce * slotTiles))
  }

  /// Bytes of the filter gradient's sums that a core's own cache holds beside the tiles, which are read and written for every few slots;
  /// where a slot is of two tiles, half as often.
  private static let gradientRoom = 640 << 10
  /// Bytes of a transformed filter that can come from the shared cache, panel after panel, in the time that its products take.
  private static let filterRoom = 2560 << 10

  /// Bytes that pass from one kernel to the next without leaving the cache that cores share.
  private static let sharedRoom = 10 << 20

  /// What all kernels of a plan are specialised by, so that they share a program.
  func defines(_ c: Int, _ k: Int) -> KeyValuePairs<String, Int> {
    if isShared {
      return [
        "VW": width, "M": side, "TR": tileRows, "TC": channelVectors, "TI": inputChannels, "PAIRS": terms - 1,
        "GRADIENT": isGradient ? 1 : 0,
      ]
    }
    return [
      "VW": width, "M": side, "C": c, "K": k, "PITCH": inputPitch, "GPITCH": gradientPitch, "TB": tilesAtOnce, "TR": tileRows,
      "TC": channelVectors, "TI": inputChannels, "PAIRS": terms - 1, "GRADIENT": isGradient ? 1 : 0,
    ]
  }

  /// The numbers of the shape as arguments.
  func sizes(_ c: Int, _ k: Int) -> [Kernel.Argument] {
    [c, k, inputPitch, gradientPitch, tilesAtOnce].map { .int($0) }
  }

  /// Output channels that lie side by side in the transformed filter.
  var panel: Int { width * channelVectors }

  /// Points of a transformed tile.
  var positions: Int { (side + 2) * (side + 2) }

  /// Work-items of the convolution in one pass.
  var items: Int { (tiles + tilesAtOnce - 1) / tilesAtOnce }

  /// Output channels whose transformed filter, or its gradient's sums, are made and used at a time: in stages no more than a shared cache
  /// holds until they are used.
  func channelsAtOnce(_ c: Int, _ k: Int) -> Int {
    let panels = isStaged ? max(1, Self.sharedRoom / (positions * (isGradient ? c : c / terms) * panel * 4)) : k
    return (1...min(panels, k / panel)).last { k / panel % $0 == 0 }! * panel
  }

  /// Factors of all of the convolution's transformed filter.
  func preparedCount(_ c: Int, _ k: Int) -> Int { positions * (c / terms) * k }

  /// Factors of the transformed filter, or floats of the filter gradient's sums, at a time.
  func filterCount(_ c: Int, _ k: Int) -> Int {
    isGradient ? splits * positions * c * channelsAtOnce(c, k) : preparedCount(c, channelsAtOnce(c, k))
  }

  /// Bytes of the blocks that the convolution and the filter gradient borrow: the first is the transformed filter or the sums, then
  /// for stages the transformed inputs and the products or transformed output gradients.
  func workspaces(_ c: Int, _ k: Int) -> [Int] {
    let others = [slots * inputPitch, slots * (isGradient ? gradientPitch : k)]
    return [filterCount(c, k) * 4] + (isStaged ? others.map { positions * $0 * 4 } : [])
  }
}

extension OpenCLBackend {
  /// The filter [3,3,C,K] transformed for a plan: output channels `channels`.
  func transform(
    _ filter: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, _ channels: Range<Int>? = nil, into transformed: Tensor
  ) throws {
    let channels = channels ?? 0..<problem.k
    try launch(
      Specialisation(.winograd, "winograd_filter", plan.defines(problem.c, problem.k)),
      global: [channels.count / plan.panel, problem.c / plan.terms],
      [.buffer(filter.buffer), .buffer(transformed.buffer), .int(channels.lowerBound)] + plan.sizes(problem.c, problem.k))
  }

  /// y = x ∗ filter through the transformed domain.
  /// - Parameters:
  ///   - filter: [3,3,C,K], or what ``transform(_:_:_:_:into:)`` made of all of it.
  ///   - isTransformed: which of the two.
  func winograd(
    _ x: Tensor, _ filter: Tensor, isTransformed: Bool, _ problem: ConvolutionProblem, _ plan: WinogradPlan, _ ending: Ending
  ) throws {
    let (defines, sizes) = (plan.defines(problem.c, problem.k), plan.sizes(problem.c, problem.k))
    let step = isTransformed ? problem.k : plan.channelsAtOnce(problem.c, problem.k)
    let transformed = isTransformed ? filter : try tensor([plan.preparedCount(problem.c, step)])
    guard plan.isStaged else {
      if !isTransformed { try transform(filter, problem, plan, into: transformed) }
      return try launch(
        Specialisation(.winograd, "winograd", defines, ending.defines, x.type.storage), global: [plan.items], groupsOfOne: true,
        moving: x.byteCount + transformed.byteCount + ending.bytes,
        [.buffer(x.buffer), .buffer(transformed.buffer)] + ending.arguments + [ending.momentsArgument]
          + onePassArguments(problem, plan) + sizes)
    }
    let inputs = try loadInputs(x, problem, plan)
    let products = try tensor([plan.slots, plan.positions, problem.k])
    for first in stride(from: 0, to: problem.k, by: step) {
      if !isTransformed { try transform(filter, problem, plan, first..<first + step, into: transformed) }
      try launch(
        Specialisation(.winogradStaged, "products", defines),
        global: [(plan.slots + plan.tilesAtOnce - 1) / plan.tilesAtOnce, step / plan.panel, plan.positions],
        [.buffer(inputs.buffer), .buffer(transformed.buffer), .buffer(products.buffer), .int(plan.slots), .int(first)] + sizes)
    }
    try launch(
      Specialisation(.winogradStaged, "store_outputs", defines, ending.defines, x.type.storage), global: [plan.tiles],
      moving: products.byteCount + ending.bytes,
      [.buffer(products.buffer)] + ending.arguments + [
        .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
      ] + sizes)
  }

  /// The transformed inputs of all tiles, [positions, slots, pitch].
  private func loadInputs(_ x: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan) throws -> Tensor {
    let inputs = try tensor([plan.positions, plan.slots, plan.inputPitch])
    try launch(
      Specialisation(.winogradStaged, "load_inputs", plan.defines(problem.c, problem.k), x.type.storage), global: [plan.slots],
      [
        .buffer(x.buffer), .buffer(inputs.buffer), .int(problem.h), .int(problem.w), .int(problem.padTop), .int(problem.padLeft),
        .int(plan.down), .int(plan.across), .int(plan.tiles),
      ] + plan.sizes(problem.c, problem.k))
    return inputs
  }

  /// dw through the transformed domain.
  func winogradFilterGradient(_ x: Tensor, _ dy: Tensor, _ g: Conv2D, _ plan: WinogradPlan, into dw: Tensor) throws {
    let problem = ConvolutionProblem(forward: g)
    let (defines, sizes) = (plan.defines(g.c, g.k), plan.sizes(g.c, g.k))
    let sums = try tensor([plan.filterCount(g.c, g.k)])
    func transformBack(_ channels: Range<Int>) throws {
      try launch(
        Specialisation(.winograd, "winograd_filter_gradient_output", defines), global: [channels.count / plan.width, g.c],
        [.buffer(sums.buffer), .buffer(dw.buffer), .int(plan.splits), .int(channels.lowerBound)] + sizes)
    }
    guard plan.isStaged else {
      try launch(
        Specialisation(.winograd, "winograd_filter_gradient", defines, x.type.storage), global: [plan.splits], groupsOfOne: true,
        [.buffer(x.buffer), .buffer(dy.buffer), .buffer(sums.buffer)] + onePassArguments(problem, plan) + sizes)
      return try transformBack(0..<g.k)
    }
    let inputs = try loadInputs(x, problem, plan)
    let gradients = try tensor([plan.positions, plan.slots, plan.gradientPitch])
    try launch(
      Specialisation(.winogradStaged, "load_gradients", defines, x.type.storage), global: [plan.slots],
      [
        .buffer(dy.buffer), .buffer(gradients.buffer), .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
        .int(plan.tiles),
      ] + sizes)
    let step = plan.channelsAtOnce(g.c, g.k)
    for first in stride(from: 0, to: g.k, by: step) {
      try launch(
        Specialisation(.winogradStaged, "filter_gradient_products", defines),
        global: [step / plan.panel, plan.positions],
        [.buffer(inputs.buffer), .buffer(gradients.buffer), .buffer(sums.buffer), .int(plan.slots), .int(first)] + sizes)
      try transformBack(first..<first + step)
    }
  }

  /// The arguments after the buffers, which both one-pass kernels share.
  private func onePassArguments(_ problem: ConvolutionProblem, _ plan: WinogradPlan) -> [Argument] {
    [
      .local(plan.inputBytes), .local(plan.otherBytes), .int(problem.h), .int(problem.w), .int(problem.p), .int(problem.q),
      .int(problem.padTop), .int(problem.padLeft), .int(plan.down), .int(plan.across), .int(plan.tiles),
    ]
  }
}
