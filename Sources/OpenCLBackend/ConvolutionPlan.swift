import Compute

/// A convolution as `convolution.cl` sees it: a forward pass, or one phase of an input gradient, which is a convolution of dy
/// with a part of the filter and writes every stride-th pixel of dx.
struct ConvolutionProblem: Hashable {
  let n, h, w, c, k, p, q, r, s: Int
  let stride: Int
  /// Rows and columns of zeros before the input; negative where the first input rows are not used.
  let padTop, padLeft: Int
  /// Elements between images, rows and columns of the output, and before its first pixel.
  let yImage, yRow, yColumn, yStart: Int
  /// Elements before the filter.
  let wStart: Int

  init(forward g: Conv2D) {
    (n, h, w, c, k, p, q, r, s) = (g.n, g.h, g.w, g.c, g.k, g.p, g.q, g.r, g.s)
    (stride, padTop, padLeft) = (g.stride, g.padding, g.padding)
    (yImage, yRow, yColumn, yStart, wStart) = (g.p * g.q * g.k, g.q * g.k, g.k, 0, 0)
  }

  /// The phase of an input gradient whose taps are `rows` and `columns`.
  init(inputGradient g: Conv2D, rows: PhaseAxis, columns: PhaseAxis, wStart: Int) {
    (n, h, w, c, k) = (g.n, g.p, g.q, g.k, g.c)
    (p, q, r, s) = (rows.outputs, columns.outputs, rows.taps, columns.taps)
    (stride, padTop, padLeft) = (1, rows.padding, columns.padding)
    (yImage, yRow, yColumn) = (g.h * g.w * g.c, g.stride * g.w * g.c, g.stride * g.c)
    yStart = (rows.first * g.w + columns.first) * g.c
    self.wStart = wStart
  }

  /// True if a tap of some output pixel lies outside the input.
  var readsBorder: Bool {
    padTop > 0 || padLeft > 0 || (p - 1) * stride + r - padTop > h || (q - 1) * stride + s - padLeft > w
  }
}

/// One axis of one phase of a strided convolution's input gradient.
///
/// Input positions i with (i + padding) mod stride = phase meet only the taps phase, phase + stride, …
struct PhaseAxis: Hashable {
  /// The first tap, and how many there are.
  let firstTap, taps: Int
  /// The first input position of the phase, and how many there are.
  let first, outputs: Int
  /// Zeros before dy that the phase's convolution with the reversed taps needs.
  let padding: Int

  init(phase: Int, size: Int, window: Int, stride: Int, padding: Int) {
    firstTap = phase
    taps = phase < window ? (window - 1 - phase) / stride + 1 : 0
    first = ((phase - padding) % stride + stride) % stride
    outputs = first < size ? (size - 1 - first) / stride + 1 : 0
    // Input position first + stride·t meets dy at t + base − i for the i-th tap.
    let base = (first + padding - phase) / stride
    self.padding = taps - 1 - base
  }

  /// False where no tap meets a position, or there is none.
  var isUsed: Bool { taps > 0 && outputs > 0 }

  static func all(size: Int, window: Int, stride: Int, padding: Int) -> [PhaseAxis] {
    (0..<stride).map { PhaseAxis(phase: $0, size: size, window: window, stride: stride, padding: padding) }
  }
}

/// How `convolution.cl` is specialised and launched for one problem on one device.
struct ConvolutionPlan: Hashable {
  /// Floats in a vector; vectors of output channels, output rows and output columns in a tile.
  let width, channelVectors, tileRows, tileColumns: Int
  /// Row blocks of an image: work-items are blocks × images.
  let blocks: Int
  let packs: Bool
  /// Bytes of the packed strip of the largest block, 0 without packing.
  let stripBytes: Int

  /// The built-in choice, or nil where the strip does not fit into local memory and the plain kernel must serve.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits) {
    if traits.choice?.algorithm == .plain { return nil }
    width = traits.vectorWidth(dividing: problem.k)
    let vectors = problem.k / width
    // Two vectors of channels use each input value twice; more leave too few pixels a tile.
    channelVectors = traits.chosen("TC") { (1...8).contains($0) && vectors % $0 == 0 } ?? (vectors % 2 == 0 ? 2 : 1)
    let pixels = max(1, traits.accumulators / channelVectors)
    // Tiles of up to 14 pixels that cut the row evenly; where no such length is worth it, the last tile overlaps the one before.
    let longest = min(pixels, 14, problem.q)
    let tiles = (problem.q + longest - 1) / longest
    tileColumns =
      traits.chosen("TQ") { (1...min(pixels, problem.q)).contains($0) }
      ?? (min(6, longest)...longest).last { problem.q % $0 == 0 } ?? (problem.q + tiles - 1) / tiles
    // Eight sums in flight hide the latency of a multiply-add; rows make up for short columns.
    let wanted = (8 + tileColumns * channelVectors - 1) / (tileColumns * channelVectors)
    let mostRows = max(1, min(problem.p, pixels / tileColumns))
    tileRows = traits.chosen("TP") { (1...mostRows).contains($0) } ?? min(wanted, mostRows)

    packs = problem.readsBorder
    let columns = packs ? (problem.q - 1) * problem.stride + problem.s : problem.w
    let (c, r, stride) = (problem.c, problem.r, problem.stride)
    func input(_ rows: Int) -> Int { ((rows - 1) * stride + r) * columns * c * 4 }
    func rows(_ blocks: Int) -> Int { (problem.p + blocks - 1) / blocks }
    // As few blocks as keep the device busy, none smaller than a tile. A block goes over its input once for each vector of output
    // channels and over the whole filter once: the input stays in a core's own cache, the more of it the larger the filter.
    let most = max(1, problem.p / tileRows)
    var count = min(most, max(1, traits.wantedItems / problem.n))
    let filterBytes = r * problem.s * c * problem.k * 4
    let cache = min(packs ? traits.localMemory : .max, max(48 << 10, min(filterBytes, 384 << 10)))
    while count < most && input(rows(count)) > cache { count += 1 }
    blocks = count
    stripBytes = packs ? input(rows(count)) : 0
    if stripBytes > traits.localMemory { return nil }
  }
}

/// How `convolution_filter_gradient.cl` is specialised and launched.
struct FilterGradientPlan: Hashable {
  /// Floats in a vector; vectors of output channels, input channels and sets of registers in a tile.
  let width, channelVectors, inputChannels, sets: Int
  /// Groups of images, each with its own partial sum.
  let splits: Int

  init(_ g: Conv2D, _ traits: DeviceTraits) {
    width = traits.vectorWidth(dividing: g.k)
    let vectors = g.k / width
    channelVectors =
      traits.chosen("TC") { (1...4).contains($0) && vectors % $0 == 0 } ?? (g.c > 1 && vectors % 4 == 0 ? 2 : 1)
    let most = max(1, min(16, traits.accumulators - 4) / channelVectors)
    inputChannels =
      traits.chosen("TI") { (1...min(most, g.c)).contains($0) && g.c % $0 == 0 }
      ?? (1...min(most, g.c)).last { g.c % $0 == 0 } ?? 1
    var sets = 1
    while sets * inputChannels * channelVectors < 8 && sets < 8 { sets *= 2 }
    self.sets = sets

    let items = g.r * g.s * (g.c / inputChannels) * (g.k / (width * channelVectors))
    let forItems = (traits.wantedItems + items - 1) / items
    // About a megabyte of x and dy a split, so that one tap after the other finds them in the cache; but no more partial sums
    // than a quarter of what is read.
    let bytes = (g.input.count + g.output.count) * 4
    let forCache = min(bytes >> 20, bytes / 4 / (g.filter.count * 4))
    splits = traits.chosen("SPLITS") { (1...g.n).contains($0) } ?? max(1, min(g.n, max(forItems, forCache)))
  }

  /// Bytes of the partial sums; none where one split writes the result itself.
  func workspaceByteCount(_ g: Conv2D) -> Int { splits == 1 ? 0 : splits * g.filter.count * 4 }
}
