import CKernelParameters
import Compute

/// Sizes with which `winograd.cl` or `winograd_staged.cl` computes a convolution of stride 1 or its filter gradient on one
/// device.
struct WinogradTiling: Hashable {
  /// Side of a tile in outputs, ``DeviceTraits/winogradSide`` or ``DeviceTraits/forwardWinogradSide``, unless rounded factors or
  /// the tuner demand a smaller one.
  let side: Int
  /// Number of terms in a factor: input channels in the convolution, tiles in the filter gradient.
  let terms: Int
  private let isGradient: Bool
  /// Input and output channels.
  let c, k: Int
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

  /// Fits the sizes to the problem, by default as built in. Nil if the direct kernel is better or if Winograd does not support
  /// the shape: other filters and strides, few channels, or channels that do not make up whole vectors.
  init?(_ task: ConvolutionTask, _ chosen: Winograd, isChosen: Bool) {
    let (problem, traits, isGradient) = (task.problem, task.traits, task.pass == .filterGradient)
    guard traits.kernelClass == .registerTiled, problem.r == 3, problem.s == 3, problem.stride == 1, problem.groups == 1,
      problem.isDense, problem.wStart == 0
    else { return nil }
    (self.isGradient, isShared) = (isGradient, problem.isSmall)
    width = traits.vectorWidth
    terms = traits.terms(width: width)
    // The transforms of larger tiles would increase the rounding errors of 16-bit factors until few correct digits were left.
    let policy = terms == 1 ? task.winogradSide : 2
    // A choice never makes the result less exact than the device's policy allows.
    let side = chosen.side.suiting { [2, 4].contains($0) && $0 <= policy } ?? policy
    self.side = side
    let (c, k) = (problem.c, problem.k)
    (self.c, self.k) = (c, k)
    // With fewer channels the transforms cost more than the multiplications that they save.
    let fewest = isChosen ? width : side == 2 && !isGradient ? 32 : 16
    guard c % width == 0, k % width == 0, min(c, k) >= fewest else { return nil }
    // A register tile of the convolution holds tiles by channels; one of the filter gradient holds input channels by output
    // channels.
    let most = traits.accumulators >= 16 ? 16 : 8
    let vectors = width
    channelVectors =
      chosen.channelVectors.suiting { (1...4).contains($0) && k % ($0 * vectors) == 0 }
      ?? [isGradient && terms == 1 ? 4 : 2, 2].first { k % ($0 * vectors) == 0 } ?? 1
    let mostRows = max(1, traits.accumulators / channelVectors)
    tileRows = chosen.tileRows.suiting { (1...mostRows).contains($0) } ?? min(12, mostRows)
    inputChannels =
      chosen.inputChannels.suiting { (1...mostRows).contains($0) && c % $0 == 0 } ?? min(most / channelVectors, width)
    func pitch(_ factors: Int) -> Int { factors >= 256 ? factors + 16 : factors }
    (inputPitch, gradientPitch) = (pitch(isGradient ? c : c / terms), pitch(k))
    (down, across) = ((problem.p + side - 1) / side, (problem.q + side - 1) / side)
    tiles = problem.n * down * across
    let slotTiles = isGradient ? terms : 1
    slots = ((tiles + slotTiles - 1) / slotTiles + tileRows - 1) / tileRows * tileRows
    let positions = (side + 2) * (side + 2)
    isStaged =
      chosen.isStaged
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
    tilesAtOnce = isGradient ? min(chosen.tilesAtOnce.suiting { $0 > 0 } ?? 24, room) : tileRows
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

  /// Constants that specialize all kernels of a plan, so that they share a program.
  var defines: KeyValuePairs<String, Int> {
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

  /// Returns the shape as the kernels take it.
  func parameters(_ problem: ConvolutionProblem) throws -> winograd_t {
    try winograd_t(
      problem, down: down, across: across, tiles: tiles, inputPitch: inputPitch, gradientPitch: gradientPitch,
      slotsAtOnce: tilesAtOnce)
  }

  /// Number of output channels that lie side by side in the transformed filter.
  var panel: Int { width * channelVectors }

  /// Number of points of a transformed tile.
  var positions: Int { (side + 2) * (side + 2) }

  /// Number of work-items of the one-pass convolution.
  var items: Int { (tiles + tilesAtOnce - 1) / tilesAtOnce }

  /// Number of output channels whose transformed filter, or whose gradient sums, are made and used at a time. In
  /// stages they are no more than a shared cache holds until they are used.
  var channelsAtOnce: Int {
    let panels = isStaged ? max(1, Self.sharedRoom / (positions * (isGradient ? c : c / terms) * panel * 4)) : k
    return (1...min(panels, k / panel)).last { k / panel % $0 == 0 }! * panel
  }

  /// Number of factors of the convolution's whole transformed filter.
  var preparedCount: Int { preparedCount(k) }

  /// Returns the number of factors of the transformed filter of so many output channels.
  func preparedCount(_ channels: Int) -> Int { positions * (c / terms) * channels }

  /// Number of floats of the filter gradient's sums that are made at a time.
  var sumCount: Int { splits * positions * c * channelsAtOnce }

  /// Bytes of the transformed inputs of all tiles in stages, and of the products or the transformed output gradients.
  var stagedBytes: [Int] { [slots * inputPitch, slots * (isGradient ? gradientPitch : k)].map { positions * $0 * 4 } }

  /// Returns the arguments after the buffers, which both one-pass kernels share.
  func onePassArguments(_ problem: ConvolutionProblem) throws -> [Argument] {
    [.local(inputBytes), .local(otherBytes), .structure(try parameters(problem))]
  }

  /// Returns the launch that transforms the filter of so many output channels.
  func filterTransform(_ channels: Int) -> KernelLaunch {
    KernelLaunch(KernelSpecialization("winograd.cl", "winograd_filter", defines), global: [channels / panel, c / terms])
  }

  /// Returns the launch that transforms the sums of so many output channels into the filter gradient.
  func gradientTransform(_ channels: Int) -> KernelLaunch {
    KernelLaunch(KernelSpecialization("winograd.cl", "winograd_filter_gradient_output", defines), global: [channels / width, c])
  }
}

extension winograd_t {
  /// - Parameters:
  ///   - down: number of tiles in a column; `across` in a row, `tiles` in all images.
  ///   - inputPitch: factors between neighboring slots of the transformed inputs; `gradientPitch` of the output gradients.
  ///   - slotsAtOnce: slots that a work-item holds at a time.
  init(
    _ problem: ConvolutionProblem, down: Int, across: Int, tiles: Int, inputPitch: Int, gradientPitch: Int, slotsAtOnce: Int
  ) throws {
    try self.init(
      h: int32(problem.h), w: int32(problem.w), c: int32(problem.c), p: int32(problem.p), q: int32(problem.q),
      k: int32(problem.k), padTop: int32(problem.padTop), padLeft: int32(problem.padLeft), down: int32(down),
      across: int32(across), tiles: int32(tiles), inputPitch: int32(inputPitch), gradientPitch: int32(gradientPitch),
      slotsAtOnce: int32(slotsAtOnce))
  }
}
