import Compute
import Kernels
import OpenCL

extension OpenCLBackend {
  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws {
    precondition(
      x.shape == geometry.input && filter.shape == geometry.filter && y.shape == geometry.output,
      "[convolution] \(x.shape) ∗ \(filter.shape) → \(y.shape), expected \(geometry)")
    traits.choice = choice(for: ConvolutionWork(.forward, geometry, x.type))
    defer { traits.choice = nil }
    try forward(x, filter, geometry, Ending(into: y))
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) throws {
    precondition(
      x.shape == geometry.input && filter.shape == geometry.filter && y.shape == geometry.output,
      "[convolution] \(x.shape) ∗ \(filter.shape) → \(y.shape), expected \(geometry)")
    let rows = y.count / geometry.k
    precondition(rows > 1, "[convolution] \(y.shape) has one value a channel, statistics need two")
    traits.choice = choice(for: ConvolutionWork(.forwardWithStatistics, geometry, x.type))
    defer { traits.choice = nil }
    let chunks = chunksInEpilogue(geometry, x.type)
    let partial = try tensor([chunks ?? momentChunks(rows: rows), 3, geometry.k])
    try forward(x, filter, geometry, Ending(into: y, moments: chunks == nil ? nil : partial))
    if chunks == nil { try takeMoments(of: y, into: partial) }
    try merge(partial, rows: rows, statistics)
  }

  /// How many chunks of y a forward pass can take moments of while it writes them; nil where the kernel that serves cannot.
  private func chunksInEpilogue(_ geometry: Conv2D, _ storage: DataType) -> Int? {
    if isProduct(geometry, storage) { return nil }
    let problem = ConvolutionProblem(forward: geometry.flattened)
    if let plan = WinogradPlan(problem, traits, isTraining: true) { return plan.isStaged ? nil : plan.items }
    return ConvolutionPlan(problem, traits).map { $0.blocks * problem.n }
  }

  /// The forward pass of training.
  private func forward(_ x: Tensor, _ filter: Tensor, _ geometry: Conv2D, _ ending: Ending) throws {
    if isProduct(geometry, x.type) { return try multiplyPixels(x, filter, geometry, .forward, into: ending.y) }
    let problem = ConvolutionProblem(forward: geometry.flattened)
    if let plan = WinogradPlan(problem, traits, isTraining: true) {
      return try winograd(x, filter, isTransformed: false, problem, plan, ending)
    }
    let packed = packedFilter(problem)
    var panels = filter
    if !packed.isFilter(problem) {
      panels = try tensor([packed.count])
      try pack(filter, problem, packed, into: panels)
    }
    try convolve(x, panels, problem, ending)
  }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) throws {
    traits.choice = choice(for: ConvolutionWork(.inference, geometry, x.type))
    defer { traits.choice = nil }
    let (problem, plan, filterCount) = inferencePlan(geometry)
    precondition(
      x.shape == geometry.input && prepared.count == filterCount && y.shape == geometry.output,
      "[convolution] \(x.shape) ∗ prepared \(prepared.shape) → \(y.shape), expected \(geometry)")
    let ending = Ending(into: y, epilogue)
    if let plan {
      return try winograd(x, prepared, isTransformed: true, problem, plan, ending)
    }
    try convolve(x, prepared, problem, ending)
  }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    traits.choice = choice(for: ConvolutionWork(.inference, geometry, storage))
    defer { traits.choice = nil }
    return inferencePlan(geometry).filterCount
  }

  /// How inference computes a convolution: no plan where the direct kernel serves; and the elements of its prepared filter.
  private func inferencePlan(_ geometry: Conv2D) -> (problem: ConvolutionProblem, plan: WinogradPlan?, filterCount: Int) {
    let problem = ConvolutionProblem(forward: geometry.flattened)
    let plan = WinogradPlan(problem, traits, isTraining: false)
    return (problem, plan, plan?.preparedCount(problem.c, problem.k) ?? packedFilter(problem).count)
  }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws {
    traits.choice = choice(for: ConvolutionWork(.inference, geometry, storage))
    defer { traits.choice = nil }
    let (problem, plan, filterCount) = inferencePlan(geometry)
    precondition(
      filter.shape == geometry.filter && prepared.count == filterCount,
      "[prepareFilter] \(filter.shape) → \(prepared.shape), expected \(geometry)")
    if let plan {
      try transform(filter, problem, plan, into: prepared)
    } else {
      try pack(filter, problem, packedFilter(problem), into: prepared)
    }
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) throws {
    precondition(
      dy.shape == geometry.output && filter.shape == geometry.filter && dx.shape == geometry.input,
      "[convolutionInputGradient] \(dy.shape), \(filter.shape) → \(dx.shape), expected \(geometry)")
    traits.choice = choice(for: ConvolutionWork(.inputGradient, geometry, dy.type, accumulates: accumulate))
    defer { traits.choice = nil }
    if isProduct(geometry, dy.type) {
      return try multiplyPixels(dy, filter, geometry, .inputGradient, accumulate: accumulate, into: dx)
    }
    let g = geometry.flattened
    let phases = inputGradientPhases(g)
    // Pixels between the taps of a small filter with a large stride get no gradient.
    let reached = phases.reduce(0) { $0 + $1.rows.outputs * $1.columns.outputs }
    if !accumulate && reached < g.h * g.w { try fill(dx, with: 0) }

    let turned = try tensor([turnedFilterCount(phases)])
    let ending = Ending(into: dx, accumulate: accumulate)
    for phase in phases {
      let problem = phase.problem
      try launch(
        Specialisation(.packFilter, "pack_turned_filter", phase.filter.defines, pairs(phase.filter.terms)),
        global: [problem.k / phase.filter.panel, phase.rows.taps * phase.columns.taps],
        [
          .buffer(filter.buffer), .buffer(turned.buffer), .int(g.s), .int(g.c), .int(g.k), .int(problem.wStart),
          .int(phase.columns.taps), .int(phase.rows.firstTap), .int(phase.columns.firstTap), .int(g.stride),
        ])
      if let plan = phase.winograd {
        try winograd(dy, turned, isTransformed: false, problem, plan, ending)
      } else {
        try convolve(dy, turned, problem, ending)
      }
    }
  }

  /// One of the convolutions that an input gradient is.
  struct InputGradientPhase {
    let rows, columns: PhaseAxis
    let problem: ConvolutionProblem
    /// Nil where the direct kernels serve.
    let winograd: WinogradPlan?
    let filter: PackedFilter
  }

  /// Elements of the filters of all phases.
  private func turnedFilterCount(_ phases: [InputGradientPhase]) -> Int {
    phases.last.map { $0.problem.wStart + $0.filter.count } ?? 0
  }

  /// An input gradient as convolutions, one for each phase that has taps and pixels; their filters lie one after the other.
  func inputGradientPhases(_ g: Conv2D) -> [InputGradientPhase] {
    var start = 0
    let rowPhases = PhaseAxis.all(size: g.h, window: g.r, stride: g.stride, padding: g.padding)
    let columnPhases = PhaseAxis.all(size: g.w, window: g.s, stride: g.stride, padding: g.padding)
    return rowPhases.filter(\.isUsed).flatMap { rows in
      columnPhases.filter(\.isUsed).map { columns in
        let problem = ConvolutionProblem(inputGradient: g, rows: rows, columns: columns, wStart: start)
        let winograd = WinogradPlan(problem, traits, isTraining: false)
        // Winograd's filter transform takes the filter as one panel, that is, in its natural order.
        let filter = winograd == nil ? packedFilter(problem) : PackedFilter(problem, width: 1, panel: problem.k)
        start += filter.count
        return InputGradientPhase(rows: rows, columns: columns, problem: problem, winograd: winograd, filter: filter)
      }
    }
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws {
    precondition(
      x.shape == geometry.input && dy.shape == geometry.output && dw.shape == geometry.filter,
      "[convolutionFilterGradient] \(x.shape), \(dy.shape) → \(dw.shape), expected \(geometry)")
    traits.choice = choice(for: ConvolutionWork(.filterGradient, geometry, x.type))
    defer { traits.choice = nil }
    if isProduct(geometry, x.type) { return try multiplyPixels(x, dy, geometry, .filterGradient, into: dw) }
    let g = geometry.flattened
    if let plan = WinogradPlan(filterGradient: g, traits) { return try winogradFilterGradient(x, dy, g, plan, into: dw) }
    let sizes: [Argument] = [
      .int(g.n), .int(g.h), .int(g.w), .int(g.c), .int(g.k), .int(g.p), .int(g.q), .int(g.r), .int(g.s), .int(g.padding),
    ]
    guard let plan = FilterGradientPlan(g, traits) else {
      let width = traits.vectorWidth(dividing: g.k)
      return try launch(
        Specialisation(.convolutionFilterGradient, "filter_gradient_plain", ["VW": width, "STRIDE": g.stride], x.type.storage),
        global: [g.k / width, g.c, g.r * g.s], [.buffer(x.buffer), .buffer(dy.buffer), .buffer(dw.buffer)] + sizes)
    }
    let partial = plan.splits == 1 ? dw : try tensor([plan.splits, g.r, g.s, g.c, g.k])
    try launch(
      Specialisation(
        .convolutionFilterGradient, "filter_gradient",
        [
          "VW": plan.width, "TI": plan.inputChannels, "TC": plan.channelVectors, "STRIDE": g.stride, "SAMPLE": plan.sample,
        ], pairs(plan.terms), x.type.storage),
      global: [g.k / plan.depth, plan.splits], groupsOfOne: true,
      [
        .buffer(x.buffer), .buffer(dy.buffer), .buffer(partial.buffer), .local(plan.inputBytes), .local(plan.gradientBytes),
      ] + sizes + [.int(plan.depth), .int(plan.rows), .int(plan.inputPitch), .int(plan.gradientPitch)])
    if plan.splits == 1 { return }
    try launch(
      Specialisation(.convolutionFilterGradient, "add_splits", ["VW": plan.width]), global: [dw.count / plan.width],
      [.buffer(partial.buffer), .buffer(dw.buffer), .int(dw.count), .int(plan.splits)])
  }

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] {
    switch operation {
    case .convolution(let work): convolutionWorkspaces(work)
    case .multiply(let product): exactly { tapConvolution(product).map(convolutionWorkspaces) ?? [] }
    case .batchNormStatistics(let rows, let channels): [statisticsWorkspace(rows: rows, channels: channels)]
    case .batchNormGradient(let rows, let channels): [gradientWorkspace(rows: rows, channels: channels)]
    case .crossEntropy(let rows): [rows * 3 * 4]
    case .updateLossScale(let count): [lossScaleWorkspace(count)]
    }
  }

  private func convolutionWorkspaces(_ work: ConvolutionWork) -> [Int] {
    traits.choice = choice(for: work)
    defer { traits.choice = nil }
    let g = work.geometry.flattened
    if work.pass == .forwardWithStatistics {
      let chunks = chunksInEpilogue(work.geometry, work.storage) ?? momentChunks(rows: g.n * g.p * g.q)
      return [chunks * 3 * g.k * 4] + convolutionWorkspaces(work.withoutStatistics)
    }
    if isProduct(work.geometry, work.storage) { return [] }
    switch work.pass {
    case .forward, .forwardWithStatistics:
      let problem = ConvolutionProblem(forward: g)
      if let plan = WinogradPlan(problem, traits, isTraining: true) { return plan.workspaces(g.c, g.k) }
      let packed = packedFilter(problem)
      return packed.isFilter(problem) ? [] : [packed.count * 4]
    case .inference:
      // The filter is prepared already.
      return Array(inferencePlan(work.geometry).plan?.workspaces(g.c, g.k).dropFirst() ?? [])
    case .inputGradient:
      // The turned filter, and what the one phase of a stride of 1 needs.
      let phases = inputGradientPhases(g)
      return [turnedFilterCount(phases) * 4]
        + phases.flatMap { $0.winograd?.workspaces(g.k, g.c) ?? [] }
    case .filterGradient:
      if let plan = WinogradPlan(filterGradient: g, traits) { return plan.workspaces(g.c, g.k) }
      return [FilterGradientPlan(g, traits)?.workspaceByteCount(g) ?? 0].filter { $0 > 0 }
    }
  }

  /// The filter that the direct kernels read.
  private func packedFilter(_ problem: ConvolutionProblem) -> PackedFilter {
    if let plan = ConvolutionPlan(problem, traits) { return plan.filter }
    let width = traits.vectorWidth(dividing: problem.k)
    return PackedFilter(problem, width: width, panel: width)
  }

  /// The filter of a forward pass in panels.
  private func pack(_ filter: Tensor, _ problem: ConvolutionProblem, _ form: PackedFilter, into packed: Tensor) throws {
    try launch(
      Specialisation(.packFilter, "pack_filter", form.defines, pairs(form.terms)), global: [problem.k / form.panel, form.runs],
      [.buffer(filter.buffer), .buffer(packed.buffer), .int(form.length), .int(problem.k)])
  }

  /// The direct convolution with a filter in panels.
  private func convolve(_ x: Tensor, _ filter: Tensor, _ problem: ConvolutionProblem, _ ending: Ending) throws {
    let operands: [Argument] = [.buffer(x.buffer), .buffer(filter.buffer)] + ending.arguments
    let sizes: [Argument] = [
      .int(problem.wStart), .int(problem.h), .int(problem.w), .int(problem.c), .int(problem.k), .int(problem.p), .int(problem.q),
      .int(problem.r), .int(problem.s), .int(problem.padTop), .int(problem.padLeft),
    ]
    let strides: [Argument] = [.int(problem.yImage), .int(problem.yRow), .int(problem.yColumn), .int(problem.yStart)]
    // Of dx only the phase's own pixels; what an epilogue reads besides.
    let written = problem.n * problem.p * problem.q * problem.k * x.type.byteCount
    let moved = problem.traffic(x.type) + (ending.accumulate ? written : 0) + ending.otherBytes
    guard let plan = ConvolutionPlan(problem, traits) else {
      let width = traits.vectorWidth(dividing: problem.k)
      return try launch(
        Specialisation(
          .convolution, "convolution_plain", ["VW": width, "STRIDE": problem.stride], ending.defines, x.type.storage),
        global: [problem.q, problem.p, problem.n], moving: moved,
        operands + sizes + strides)
    }
    try launch(
      Specialisation(
        .convolution, "convolution",
        [
          "VW": plan.width, "TC": plan.channelVectors, "TP": plan.tileRows, "TQ": plan.tileColumns, "STRIDE": problem.stride,
          "SAMPLE": plan.sample, "PITCH": plan.pitch, "ROW": plan.row,
        ], pairs(plan.terms), ending.defines, x.type.storage),
      global: [plan.blocks, problem.n], groupsOfOne: true, moving: moved,
      operands + [ending.momentsArgument, .local(plan.stripBytes)] + sizes + strides)
  }
}

/// What becomes of the sums of a convolution, as `epilogue.h` sees it.
struct Ending {
  let y: Tensor
  let epilogue: ConvolutionEpilogue?
  let accumulate: Bool
  /// [chunks,3,K], where the moments of what was stored go; only for kernels that take them.
  let moments: Tensor?

  init(into y: Tensor, _ epilogue: ConvolutionEpilogue? = nil, accumulate: Bool = false, moments: Tensor? = nil) {
    (self.y, self.epilogue, self.accumulate, self.moments) = (y, epilogue, accumulate, moments)
  }

  /// y, scale, bias, residual.
  var arguments: [Kernel.Argument] {
    [y, epilogue?.scale ?? y, epilogue?.bias ?? y, epilogue?.residual ?? y].map { .buffer($0.buffer) }
  }

  /// What is read and written of y and of what the epilogue needs.
  var bytes: Int { y.byteCount * (accumulate ? 2 : 1) + otherBytes }

  /// What the epilogue reads and writes besides y.
  var otherBytes: Int {
    [epilogue?.scale, epilogue?.bias, epilogue?.residual, moments].reduce(0) { $0 + ($1?.byteCount ?? 0) }
  }

  var momentsArgument: Kernel.Argument { .buffer((moments ?? y).buffer) }

  /// Only what is not the default, so that profiles stay readable.
  var defines: KeyValuePairs<String, Int> {
    if moments != nil { return ["STATISTICS": 1] }
    guard let epilogue else { return accumulate ? ["ACCUMULATE": 1] : [:] }
    return ["AFFINE": 1, "RESIDUAL": epilogue.residual == nil ? 0 : 1, "RELU": epilogue.relu ? 1 : 0]
  }
}

extension Conv2D {
  /// The same sums with all pixels of all images in rows of a convenient length, where the filter is a single tap that meets every pixel.
  var flattened: Conv2D {
    guard r == 1 && s == 1 && stride == 1 && padding == 0 else { return self }
    let pixels = n * h * w
    // A row of input stays within 256 KB; tiles of 14 pixels cut multiples of 14 evenly.
    let longest = min(pixels, max(28, min(128, (64 << 10) / max(c, k))))
    let lengths = (min(28, pixels)...longest).filter { pixels % $0 == 0 }
    guard let length = lengths.last(where: { $0 % 14 == 0 }) ?? lengths.last else { return self }
    return Conv2D(input: [1, pixels / length, length, c], filter: filter)
  }
}
