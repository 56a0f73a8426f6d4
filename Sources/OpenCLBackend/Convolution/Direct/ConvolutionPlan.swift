import Compute

/// A convolution as `convolution.cl` computes it: a forward pass, or one phase of an input gradient. Such a phase is a
/// convolution of dy with a part of the filter, and writes every stride-th pixel of dx.
struct ConvolutionProblem: Hashable {
  let n, h, w, c, k, p, q, r, s: Int
  let stride, groups: Int
  /// Rows and columns of zero padding before the input; negative if the first input rows are not used.
  let padTop, padLeft: Int
  /// Elements between images, rows and columns of the output, and before its first pixel.
  let yImage, yRow, yColumn, yStart: Int
  /// Number of elements before the filter.
  let wStart: Int

  init(forward g: Conv2D) {
    (n, h, w, c, k, p, q, r, s) = (g.n, g.h, g.w, g.c, g.k, g.p, g.q, g.r, g.s)
    (stride, groups, padTop, padLeft) = (g.stride, g.groups, g.padding, g.padding)
    (yImage, yRow, yColumn, yStart, wStart) = (g.p * g.q * g.k, g.q * g.k, g.k, 0, 0)
  }

  /// Creates the phase of an input gradient whose taps are `rows` and `columns`.
  init(inputGradient g: Conv2D, rows: PhaseAxis, columns: PhaseAxis, wStart: Int) {
    (n, h, w, c, k) = (g.n, g.p, g.q, g.k, g.c)
    (p, q, r, s) = (rows.outputs, columns.outputs, rows.taps, columns.taps)
    (stride, groups, padTop, padLeft) = (1, g.groups, rows.padding, columns.padding)
    (yImage, yRow, yColumn) = (g.h * g.w * g.c, g.stride * g.w * g.c, g.stride * g.c)
    yStart = (rows.first * g.w + columns.first) * g.c
    self.wStart = wStart
  }

  /// Whether the output's pixels follow one another. False for a phase of a strided input gradient.
  var isDense: Bool { yColumn == k && yRow == q * k && yStart == 0 }

  /// Input and output channels of a channel group.
  var groupC: Int { c / groups }
  var groupK: Int { k / groups }

  /// Whether the filter is a single tap that meets every pixel.
  var isPlain: Bool { groups == 1 && r == 1 && s == 1 && stride == 1 && padTop == 0 && padLeft == 0 && p == h && q == w }

  /// Whether it takes less than a thousandth of the time that compiling a kernel for it takes: about two million multiply-adds.
  var isSmall: Bool { n * p * q * r * s * groupC * k <= 2_000_000 }

  /// Returns the bytes of the output; for dx only those of the phase's own pixels.
  func written(_ storage: DataType) -> Int { storage.byteCount * n * p * q * k }

  /// Returns the bytes that the direct kernels read and write if each value is moved once.
  func traffic(_ storage: DataType) -> Int { storage.byteCount * n * h * w * c + written(storage) + 4 * r * s * groupC * k }
}

/// One axis of one phase of a strided convolution's input gradient.
///
/// Input positions i with (i + padding) mod stride = phase meet only the taps phase, phase + stride, …
struct PhaseAxis: Hashable {
  /// First tap, and number of taps.
  let firstTap, taps: Int
  /// First input position of the phase, and number of its positions.
  let first, outputs: Int
  /// Zero padding before dy that the phase's convolution with the reversed taps needs.
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

  /// Whether the phase has taps and positions that they meet.
  var isUsed: Bool { taps > 0 && outputs > 0 }

  static func all(size: Int, window: Int, stride: Int, padding: Int) -> [PhaseAxis] {
    (0..<stride).map { PhaseAxis(phase: $0, size: size, window: window, stride: stride, padding: padding) }
  }
}

/// Plan for `convolution.cl`: how it is specialized and launched for one problem on one device.
struct ConvolutionPlan: Hashable {
  /// Number of floats in a vector, and vectors of output channels, output rows and output columns in a tile.
  let width, channelVectors, tileRows, tileColumns: Int
  /// Number of row blocks of an image. There are blocks × images work-items.
  let blocks: Int
  /// Sampling step: the strip (input tile) stores every `sample`-th pixel of the input.
  let sample: Int
  /// Number of terms in a factor.
  let terms: Int
  /// Terms between neighboring pixels of a strip, and factors between its rows.
  let pitch, row: Int
  /// Whether many shapes share the kernel. Their sizes are then arguments, and the tile is one of a few.
  let isShared: Bool
  /// Bytes of the strip of the largest block.
  let stripBytes: Int
  /// Form of the packed filter.
  let filter: PackedFilter

  /// Plans the convolution, by default with the built-in choice. Nil if the plain kernel must serve, because it was chosen or
  /// because the strip does not fit into local memory.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits) {
    if traits.choice?.algorithm == .plain { return nil }
    width = traits.vectorWidth(dividing: problem.groupK)
    let vectors = problem.groupK / width
    // Two vectors of channels use each input value twice. More of them leave too few pixels per tile.
    channelVectors = traits.chosen("TC") { (1...8).contains($0) && vectors % $0 == 0 } ?? (vectors % 2 == 0 ? 2 : 1)
    let pixels = max(1, traits.accumulators / channelVectors)
    let isShared = problem.isSmall
    self.isShared = isShared
    func tile(_ side: Int) -> Int { isShared ? side.powerOfTwo : side }
    // Tiles have up to 14 or 16 pixels and divide the row evenly. If no such length is worth it, the last tile overlaps the one
    // before.
    let longest = min(pixels, channelVectors == 1 ? 16 : 14, problem.q)
    let tiles = (problem.q + longest - 1) / longest
    tileColumns =
      traits.chosen("TQ") { (1...min(pixels, problem.q)).contains($0) }
      ?? tile((min(6, longest)...longest).last { problem.q % $0 == 0 } ?? (problem.q + tiles - 1) / tiles)
    // Eight accumulators in flight hide the latency of a multiply-add. If the filter has only one vector per tile, sixteen spread
    // the cost of loading it. Several rows make up for short columns.
    let sums = channelVectors == 1 ? 16 : 8
    let wanted = (sums + tileColumns * channelVectors - 1) / (tileColumns * channelVectors)
    let mostRows = max(1, min(problem.p, pixels / tileColumns))
    tileRows = traits.chosen("TP") { (1...mostRows).contains($0) } ?? tile(min(wanted, mostRows))

    // A channel group begins with a whole factor.
    terms = problem.groupC % 2 == 0 || problem.groups == 1 ? traits.terms(width: width) : 1
    let strip = Strip(problem, tileStep: problem.stride, terms: terms)
    (sample, pitch, row) = (strip.sample, strip.pitch, strip.row)
    filter = PackedFilter(
      problem, width: width, panel: width * channelVectors, terms: terms, joinsTaps: problem.groups == 1 && pitch == problem.c)
    func rows(_ blocks: Int) -> Int { (problem.p + blocks - 1) / blocks }
    // There are as few blocks as keep the device busy, and none is smaller than a tile. A block passes over its strip once for
    // each panel of output channels, and over the whole filter once. So the strip stays in a core's own cache; the larger the
    // filter, the larger the part of the cache that it may take.
    let most = max(1, problem.p / tileRows)
    var count = min(most, max(1, traits.wantedItems / problem.n))
    let cache = min(traits.localMemory, max(48 << 10, min(filter.count * 4, 384 << 10)))
    while count < most && strip.byteCount(rows: rows(count)) > cache { count += 1 }
    blocks = count
    stripBytes = strip.byteCount(rows: rows(count))
    if stripBytes > traits.localMemory { return nil }
  }

  /// Returns the sizes of the shape that are constants of the kernel.
  func constants(_ problem: ConvolutionProblem) -> KeyValuePairs<String, Int> {
    isShared ? [:] : ["STRIDE": problem.stride, "SAMPLE": sample, "PITCH": pitch, "ROW": row, "GROUPS": problem.groups]
  }
}

/// Filter of a direct convolution in the form that `pack_filter.cl` writes.
struct PackedFilter: Hashable {
  /// Number of floats in a vector, and of output channels that lie side by side.
  let width, panel: Int
  /// Number of terms in a factor.
  let terms: Int
  /// Number of runs of terms, and of terms in each. A run begins with a factor of its own, and holds a tap's channels or those of
  /// a row of taps.
  let runs, length: Int
  /// Number of factors in all.
  let count: Int

  init(_ problem: ConvolutionProblem, width: Int, panel: Int, terms: Int = 1, joinsTaps: Bool = false) {
    (self.width, self.panel, self.terms) = (width, panel, terms)
    (runs, length) = joinsTaps ? (problem.r, problem.s * problem.c) : (problem.r * problem.s, problem.groupC)
    count = runs * ((length + terms - 1) / terms) * problem.k
  }

  /// Whether the packed filter is the filter as it is.
  func isFilter(_ problem: ConvolutionProblem) -> Bool { panel == problem.k && terms == 1 }

  var defines: KeyValuePairs<String, Int> { ["KB": panel, "VW": width] }
}

/// Returns the constant that tells a kernel how many terms are in a factor (`factors.h`); none for one term, so that profiles
/// stay readable.
func pairs(_ terms: Int) -> KeyValuePairs<String, Int> { terms == 1 ? [:] : ["PAIRS": 1] }

/// Returns the constant with the groups of a convolution; none for one group, so that profiles stay readable.
func groups(_ count: Int) -> KeyValuePairs<String, Int> { count == 1 ? [:] : ["GROUPS": count] }

/// Strip of an input that a kernel keeps in local memory, its input tile (`strip.h`).
struct Strip {
  /// Sampling step: the stride if a filter of one tap meets only every stride-th pixel; otherwise 1.
  let sample: Int
  /// Terms between neighboring pixels.
  let pitch: Int
  /// Factors between neighboring rows.
  let row: Int
  /// Rows of the strip between neighboring output rows, and rows of the filter.
  private let step, filterRows: Int

  /// - Parameters:
  ///   - tileStep: distance in input pixels between those that a tile reads at a time.
  ///   - terms: number of channels in a factor.
  init(_ problem: ConvolutionProblem, tileStep: Int, terms: Int = 1) {
    sample = problem.r == 1 && problem.s == 1 ? problem.stride : 1
    step = problem.stride / sample
    filterRows = problem.r
    // Pixels at a distance of a large power of two would all compete for the same few lines of the L1 cache.
    let distance = tileStep / sample * problem.c * 4 / terms
    // Tiles begin with whole factors.
    let least = step * problem.c % terms == 0 ? problem.c : problem.c + 1
    pitch = distance >= 1024 && distance % 256 == 0 ? problem.c + 16 * terms : least
    row = (((problem.q - 1) * step + problem.s) * pitch + terms - 1) / terms
  }

  /// Returns the bytes of a strip for `rows` output rows.
  func byteCount(rows: Int) -> Int { ((rows - 1) * step + filterRows) * row * 4 }
}

/// Plan for `convolution_filter_gradient.cl`: how it is specialized and launched.
struct FilterGradientPlan: Hashable {
  /// Number of floats in a vector, and vectors of output channels and input channels in a tile.
  let width, channelVectors, inputChannels: Int
  /// Number of output channels of a work-item.
  let depth: Int
  /// Number of output rows of a block.
  let rows: Int
  /// Sampling step: the strip stores every `sample`-th pixel of the input.
  let sample: Int
  /// Number of terms in a factor.
  let terms: Int
  /// Factors between neighboring pixels in the strips of x and dy, and the bytes of these strips.
  let inputPitch, gradientPitch, inputBytes, gradientBytes: Int
  /// Number of groups of output rows, each with its own partial sum.
  let splits: Int
  /// Whether many shapes share the kernel. Their sizes are then arguments, and the tile is one of a few.
  let isShared: Bool

  /// Plans the filter gradient. Nil if the plain kernel must serve, because it was chosen or because the strips of one row do not
  /// fit into local memory.
  init?(_ g: Conv2D, _ traits: DeviceTraits) {
    if traits.choice?.algorithm == .plain { return nil }
    width = traits.vectorWidth(dividing: g.groupK)
    terms = traits.terms(width: width)
    let (width, k, columns) = (width, g.k, (g.q + terms - 1) / terms)
    channelVectors =
      traits.chosen("TC") { (1...8).contains($0) && g.groupK % ($0 * width) == 0 }
      ?? [4, 2].first { g.groupK % ($0 * width) == 0 } ?? 1
    let panel = width * channelVectors
    let problem = ConvolutionProblem(forward: g)
    let (strip, isShared) = (Strip(problem, tileStep: g.stride), problem.isSmall)
    (sample, inputPitch, self.isShared) = (strip.sample, strip.pitch, isShared)
    // If S and C are one loop, tiles may cross from one tap to the next.
    let length = g.groups == 1 && inputPitch == g.c ? g.s * g.c : g.groupC
    let most = min(16, max(1, traits.accumulators / channelVectors), length)
    inputChannels =
      traits.chosen("TI") { (1...most).contains($0) && length % $0 == 0 }
      ?? (1...most).last { length % $0 == 0 && (!isShared || $0 == $0.powerOfTwo) } ?? 1

    // Each further part of the output channels copies x once more. A part of 256 channels outweighs such a copy many times over.
    func largestDepth(_ panels: Int) -> Int { ((1...max(1, panels)).last { k % ($0 * panel) == 0 } ?? 1) * panel }
    var depth = largestDepth(256 / panel)
    func gradientPitch(_ depth: Int) -> Int { depth >= 256 ? depth + 16 : depth }
    func bytes(_ rows: Int, _ depth: Int) -> Int { strip.byteCount(rows: rows) + rows * columns * gradientPitch(depth) * 4 }
    var rows = max(1, min(g.p, 128 / g.q))
    while rows > 1 && bytes(rows, depth) > traits.localMemory { rows /= 2 }
    while depth > panel && bytes(rows, depth) > traits.localMemory { depth = largestDepth(depth / panel - 1) }
    guard bytes(rows, depth) <= traits.localMemory else { return nil }
    (self.depth, self.rows, self.gradientPitch) = (depth, rows, gradientPitch(depth))
    (inputBytes, gradientBytes) = (strip.byteCount(rows: rows), rows * columns * gradientPitch(depth) * 4)

    // Partial sums cost traffic. There are as many as keep the device busy, but their traffic is at most a quarter of the data
    // read.
    let wanted = (traits.wantedItems * depth / k + 1) / 2
    let affordable = (g.input.count + g.output.count) / 4 / g.filter.count
    let mostSplits = max(1, g.n * g.p / rows)
    splits =
      traits.chosen("SPLITS") { (1...mostSplits).contains($0) }
      ?? max(1, min(mostSplits, wanted, max(affordable, traits.computeUnits * depth / k)))
  }

  /// Returns the sizes of the shape that are constants of the kernel.
  func constants(_ g: Conv2D) -> KeyValuePairs<String, Int> {
    isShared ? [:] : ["STRIDE": g.stride, "SAMPLE": sample, "GROUPS": g.groups]
  }

  /// Returns the bytes of the partial sums; 0 if one split writes the result itself.
  func workspaceByteCount(_ g: Conv2D) -> Int { splits == 1 ? 0 : splits * g.filter.count * 4 }
}
