import Compute
import Kernels
import OpenCL

/// Plan for `winograd.cl` or `winograd_staged.cl`: how they are specialized and launched for a convolution of stride 1 or its
/// filter gradient.
struct WinogradPlan: Hashable {
  /// Side of a tile in outputs, ``DeviceTraits/winogradSide`` or ``DeviceTraits/forwardWinogradSide``, unless rounded factors or
  /// the tuner demand a smaller one.
  let side: Int
  /// Number of terms in a factor: input channels in the convolution, tiles in the filter gradient.
  let terms: Int
  private let isGradient: Bool
  /// Floats in a vector, and vectors of output channels in a register tile.
  let width, channelVectors: Int
  /// Tiles in a register tile of the convolution, and input channels in one of the filter gradient.
  let tileRows, inputChannels: Int
  /// Whether the stages exchange data through buffers (`winograd_staged.cl`) instead of a work-item's local memory
  /// (`winograd.cl`).
  let isStaged: Bool
  /// Number of slots, rounded up to whole register tiles. A slot is one tile; in the filter gradient it is `terms` tiles.
  let slots: Int
  /// Slots that a work-item holds at a time.
  let tilesAtOnce: Int
  /// Number of tiles in a column, in a row, and in all images.
  let down, across, tiles: Int
  /// Number of work-items of the filter gradient, each with its own sums.
  let splits: Int
  /// Factors between neighboring slots of the transformed inputs and of the transformed output gradients. Pixels at a distance of
  /// a large power of two would all compete for the same few lines of the L1 cache.
  let inputPitch, gradientPitch: Int
  /// Whether many shapes share the kernels. Their sizes are then arguments.
  let isShared: Bool
  /// Bytes of local memory for transformed inputs, and for products or transformed output gradients.
  let inputBytes, otherBytes: Int

  /// Plans the convolution. Nil if the direct kernel is better or if Winograd does not support the shape: other filters and
  /// strides, few channels, or channels that do not make up whole vectors.
  /// - Parameter isTraining: whether this is the forward pass of training.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits, isTraining: Bool) {
    guard problem.isDense, problem.wStart == 0 else { return nil }
    self.init(problem, traits, side: isTraining ? traits.forwardWinogradSide : traits.winogradSide, isGradient: false)
  }

  /// Plans the filter gradient; nil under the same conditions as for the convolution.
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
    // The transforms of larger tiles would increase the rounding errors of 16-bit factors until few correct digits were left.
    let policy = terms == 1 ? side : 2
    // A choice never makes the result less exact than the device's policy allows.
    let side = traits.chosen("M") { [2, 4].contains($0) && $0 <= policy } ?? policy
    self.side = side
    let (c, k) = (problem.c, problem.k)
    // With fewer channels the transforms cost more than the multiplications that they save.
    let fewest = traits.choice != nil ? width : side == 2 && !isGradient ? 32 : 16
    guard c % width == 0, k % width == 0, min(c, k) >= fewest else { return nil }
    // A register tile of the convolution holds tiles by channels; one of the filter gradient holds input channels by output
    // channels.
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
      // Take as many tiles as keep their inputs at one position in the cache beside a block of the filter.
      tilesAtOnce = max(1, min(slots, (256 << 10) / (inputPitch * 4)) / tileRows) * tileRows
      (inputBytes, otherBytes, splits) = (0, 0, 1)
      return
    }
    // The convolution takes one register tile at a time, so that the input of the next one can be prefetched while this one is
    // multiplied. The filter gradient takes more, because all its sums are read and written each time. The number is not a power
    // of two, which would put the points of a tile into the same few lines of the L1 cache.
    let channels = inputPitch + (isGradient ? gradientPitch : channelVectors * width)
    let room = min(traits.localMemory, 600 << 10) / (positions * channels * 4)
    tilesAtOnce = isGradient ? min(traits.chosen("TB") { $0 > 0 } ?? 24, room) : tileRows
    guard tilesAtOnce > 0, tilesAtOnce <= room else { return nil }
    inputBytes = positions * tilesAtOnce * inputPitch * 4
    otherBytes = positions * tilesAtOnce * (channels - inputPitch) * 4
    splits = min(traits.computeUnits * 2, (tiles + tilesAtOnce * slotTiles - 1) / (tilesAtOnce * slotTiles))
  }

  /// Bytes of the filter gradient's sums that a core's own cache holds beside the tiles. They are read and written once every few
  /// slots, half as often if a slot has two tiles.
  private static let gradientRoom = 640 << 10
  /// Bytes of a transformed filter that can come from the shared cache, panel after panel, in the time that its products take.
  private static let filterRoom = 2560 << 10

  /// Bytes that pass from one kernel to the next without leaving the cache that all cores share.
  private static let sharedRoom = 10 << 20

  /// Returns the constants that specialize all kernels of a plan, so that they share a program.
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

  /// Returns the sizes of the shape as kernel arguments.
  func sizes(_ c: Int, _ k: Int) -> [Kernel.Argument] {
    [c, k, inputPitch, gradientPitch, tilesAtOnce].map { .int($0) }
  }

  /// Number of output channels that lie side by side in the transformed filter.
  var panel: Int { width * channelVectors }

  /// Number of points of a transformed tile.
  var positions: Int { (side + 2) * (side + 2) }

  /// Number of work-items of the one-pass convolution.
  var items: Int { (tiles + tilesAtOnce - 1) / tilesAtOnce }

  /// Returns the number of output channels whose transformed filter, or whose gradient sums, are made and used at a time. In
  /// stages they are no more than a shared cache holds until they are used.
  func channelsAtOnce(_ c: Int, _ k: Int) -> Int {
    let panels = isStaged ? max(1, Self.sharedRoom / (positions * (isGradient ? c : c / terms) * panel * 4)) : k
    return (1...min(panels, k / panel)).last { k / panel % $0 == 0 }! * panel
  }

  /// Returns the number of factors of the convolution's whole transformed filter.
  func preparedCount(_ c: Int, _ k: Int) -> Int { positions * (c / terms) * k }

  /// Returns the number of factors of the transformed filter, or of floats of the filter gradient's sums, that are made at a
  /// time.
  func filterCount(_ c: Int, _ k: Int) -> Int {
    isGradient ? splits * positions * c * channelsAtOnce(c, k) : preparedCount(c, channelsAtOnce(c, k))
  }

  /// Returns the bytes of the workspaces of the convolution or the filter gradient. The first one is the transformed filter or
  /// the sums. Stages also need the transformed inputs, and the products or the transformed output gradients.
  func workspaces(_ c: Int, _ k: Int) -> [Int] {
    let others = [slots * inputPitch, slots * (isGradient ? gradientPitch : k)]
    return [filterCount(c, k) * 4] + (isStaged ? others.map { positions * $0 * 4 } : [])
  }
}

extension OpenCLBackend {
  /// Transforms the filter [3,3,C,K] for a plan: the output channels `channels`, or all of them for nil.
  func transform(
    _ filter: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, _ channels: Range<Int>? = nil, into transformed: Tensor
  ) throws {
    let channels = channels ?? 0..<problem.k
    try launch(
      KernelSpecialization(.winograd, "winograd_filter", plan.defines(problem.c, problem.k)),
      global: [channels.count / plan.panel, problem.c / plan.terms],
      [.buffer(filter.buffer), .buffer(transformed.buffer), .int(channels.lowerBound)] + plan.sizes(problem.c, problem.k))
  }

  /// Computes y = x ∗ filter in the transformed domain.
  /// - Parameters:
  ///   - filter: [3,3,C,K], or the result of ``transform(_:_:_:_:into:)`` for all its channels.
  ///   - isTransformed: whether `filter` is that result.
  func winograd(
    _ x: Tensor, _ filter: Tensor, isTransformed: Bool, _ problem: ConvolutionProblem, _ plan: WinogradPlan, _ ending: Ending
  ) throws {
    let (defines, sizes) = (plan.defines(problem.c, problem.k), plan.sizes(problem.c, problem.k))
    let step = isTransformed ? problem.k : plan.channelsAtOnce(problem.c, problem.k)
    let transformed = isTransformed ? filter : try tensor([plan.preparedCount(problem.c, step)])
    guard plan.isStaged else {
      if !isTransformed { try transform(filter, problem, plan, into: transformed) }
      return try launch(
        KernelSpecialization(.winograd, "winograd", defines, ending.defines, x.type.storage), global: [plan.items],
        groupsOfOne: true,
        moving: x.byteCount + transformed.byteCount + ending.bytes,
        [.buffer(x.buffer), .buffer(transformed.buffer)] + ending.arguments + [ending.momentsArgument]
          + onePassArguments(problem, plan) + sizes)
    }
    let inputs = try loadInputs(x, problem, plan)
    let products = try tensor([plan.slots, plan.positions, problem.k])
    for first in stride(from: 0, to: problem.k, by: step) {
      if !isTransformed { try transform(filter, problem, plan, first..<first + step, into: transformed) }
      try launch(
        KernelSpecialization(.winogradStaged, "products", defines),
        global: [(plan.slots + plan.tilesAtOnce - 1) / plan.tilesAtOnce, step / plan.panel, plan.positions],
        [.buffer(inputs.buffer), .buffer(transformed.buffer), .buffer(products.buffer), .int(plan.slots), .int(first)] + sizes)
    }
    try launch(
      KernelSpecialization(.winogradStaged, "store_outputs", defines, ending.defines, x.type.storage), global: [plan.tiles],
      moving: products.byteCount + ending.bytes,
      [.buffer(products.buffer)] + ending.arguments + [
        .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
      ] + sizes)
  }

  /// Returns the transformed inputs of all tiles, [positions, slots, pitch].
  private func loadInputs(_ x: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan) throws -> Tensor {
    let inputs = try tensor([plan.positions, plan.slots, plan.inputPitch])
    try launch(
      KernelSpecialization(.winogradStaged, "load_inputs", plan.defines(problem.c, problem.k), x.type.storage),
      global: [plan.slots],
      [
        .buffer(x.buffer), .buffer(inputs.buffer), .int(problem.h), .int(problem.w), .int(problem.padTop), .int(problem.padLeft),
        .int(plan.down), .int(plan.across), .int(plan.tiles),
      ] + plan.sizes(problem.c, problem.k))
    return inputs
  }

  /// Computes dw in the transformed domain.
  func winogradFilterGradient(_ x: Tensor, _ dy: Tensor, _ g: Conv2D, _ plan: WinogradPlan, into dw: Tensor) throws {
    let problem = ConvolutionProblem(forward: g)
    let (defines, sizes) = (plan.defines(g.c, g.k), plan.sizes(g.c, g.k))
    let sums = try tensor([plan.filterCount(g.c, g.k)])
    func transformBack(_ channels: Range<Int>) throws {
      try launch(
        KernelSpecialization(.winograd, "winograd_filter_gradient_output", defines), global: [channels.count / plan.width, g.c],
        [.buffer(sums.buffer), .buffer(dw.buffer), .int(plan.splits), .int(channels.lowerBound)] + sizes)
    }
    guard plan.isStaged else {
      try launch(
        KernelSpecialization(.winograd, "winograd_filter_gradient", defines, x.type.storage), global: [plan.splits],
        groupsOfOne: true,
        [.buffer(x.buffer), .buffer(dy.buffer), .buffer(sums.buffer)] + onePassArguments(problem, plan) + sizes)
      return try transformBack(0..<g.k)
    }
    let inputs = try loadInputs(x, problem, plan)
    let gradients = try tensor([plan.positions, plan.slots, plan.gradientPitch])
    try launch(
      KernelSpecialization(.winogradStaged, "load_gradients", defines, x.type.storage), global: [plan.slots],
      [
        .buffer(dy.buffer), .buffer(gradients.buffer), .int(problem.p), .int(problem.q), .int(plan.down), .int(plan.across),
        .int(plan.tiles),
      ] + sizes)
    let step = plan.channelsAtOnce(g.c, g.k)
    for first in stride(from: 0, to: g.k, by: step) {
      try launch(
        KernelSpecialization(.winogradStaged, "filter_gradient_products", defines),
        global: [step / plan.panel, plan.positions],
        [.buffer(inputs.buffer), .buffer(gradients.buffer), .buffer(sums.buffer), .int(plan.slots), .int(first)] + sizes)
      try transformBack(first..<first + step)
    }
  }

  /// Returns the arguments after the buffers, which both one-pass kernels share.
  private func onePassArguments(_ problem: ConvolutionProblem, _ plan: WinogradPlan) -> [Argument] {
    [
      .local(plan.inputBytes), .local(plan.otherBytes), .int(problem.h), .int(problem.w), .int(problem.p), .int(problem.q),
      .int(problem.padTop), .int(problem.padLeft), .int(plan.down), .int(plan.across), .int(plan.tiles),
    ]
  }
}
