import Compute
import Kernels
import OpenCL

extension OpenCLBackend {
  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws {
    precondition(
      x.shape == geometry.input && filter.shape == geometry.filter && y.shape == geometry.output,
      "[convolution] \(x.shape) ∗ \(filter.shape) → \(y.shape), expected \(geometry)")
    try executing(ConvolutionWork(.forward, geometry, x.type)) { try forward(x, filter, geometry, Ending(into: y)) }
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) throws {
    let rows = y.count / geometry.k
    precondition(rows > 1, "[convolution] \(y.shape) has one value a channel, statistics need two")
    try mergeMoments(try convolutionTakingMoments(x, filter: filter, geometry, into: y), rows: rows, statistics)
  }

  /// Computes y = x ∗ filter, and returns the moments of chunks of y [chunks,3,K].
  func convolutionTakingMoments(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws -> Tensor {
    precondition(
      x.shape == geometry.input && filter.shape == geometry.filter && y.shape == geometry.output,
      "[convolution] \(x.shape) ∗ \(filter.shape) → \(y.shape), expected \(geometry)")
    return try executing(ConvolutionWork(.forwardWithStatistics, geometry, x.type)) {
      let chunks = chunksInEpilogue(geometry, x.type)
      let partial = try tensor([chunks ?? momentChunks(rows: y.count / geometry.k, channels: geometry.k), 3, geometry.k])
      try forward(x, filter, geometry, Ending(into: y, moments: chunks == nil ? nil : partial))
      if chunks == nil { try takeMoments(of: y, into: partial) }
      return partial
    }
  }

  /// Returns the number of chunks of y whose moments a forward pass can take while it writes them; nil if its kernel cannot do
  /// this.
  private func chunksInEpilogue(_ geometry: Conv2D, _ storage: DataType) -> Int? {
    let problem = ConvolutionProblem(forward: geometry.flattened)
    switch method(problem, storage, .forward) {
    case .winograd(let plan): return plan.isStaged ? nil : plan.items
    case .direct(let plan): return plan.blocks * problem.n
    case .product, .tiled, .batched, .directFilterGradient, .plain: return nil
    }
  }

  /// Runs the forward pass of training.
  private func forward(_ x: Tensor, _ filter: Tensor, _ geometry: Conv2D, _ ending: Ending) throws {
    let problem = ConvolutionProblem(forward: geometry.flattened)
    let method = method(problem, x.type, .forward)
    if method == .product { return try multiplyPixels(x, filter, geometry, .forward, into: ending.y) }
    let form = packedFilter(problem, method)
    var packed = filter
    if !form.isFilter(problem) {
      packed = try tensor([form.count])
      try pack(filter, problem, form, into: packed)
    }
    try convolve(x, packed, isTransformed: false, problem, method, ending)
  }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) throws {
    try executing(ConvolutionWork(.inference, geometry, x.type)) {
      let (problem, method, filterCount) = inference(geometry, x.type)
      precondition(
        x.shape == geometry.input && prepared.count == filterCount && y.shape == geometry.output,
        "[convolution] \(x.shape) ∗ prepared \(prepared.shape) → \(y.shape), expected \(geometry)")
      try convolve(x, prepared, isTransformed: true, problem, method, Ending(into: y, epilogue))
    }
  }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int {
    try requireKernels(for: ConvolutionWork(.inference, geometry, storage))
    return plannedFilterCount(geometry, storage)
  }

  public func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    planning(ConvolutionWork(.inference, geometry, storage)) { inference(geometry, storage).filterCount }
  }

  /// Returns how inference computes a convolution, and the number of elements of its prepared filter.
  private func inference(
    _ geometry: Conv2D, _ storage: DataType
  ) -> (problem: ConvolutionProblem, method: ConvolutionMethod, filterCount: Int) {
    let problem = ConvolutionProblem(forward: geometry.flattened)
    let method = method(problem, storage, .inference)
    let count =
      switch method {
      case .winograd(let plan): plan.preparedCount(problem.c, problem.k)
      case .batched(let plan): plan.filterCount
      case .product, .tiled, .direct, .directFilterGradient, .plain: packedFilter(problem, method).count
      }
    return (problem, method, count)
  }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws {
    try executing(ConvolutionWork(.inference, geometry, storage)) {
      let (problem, method, filterCount) = inference(geometry, storage)
      precondition(
        filter.shape == geometry.filter && prepared.count == filterCount,
        "[prepareFilter] \(filter.shape) → \(prepared.shape), expected \(geometry)")
      switch method {
      case .winograd(let plan): try transform(filter, problem, plan, into: prepared)
      case .batched(let plan): try transform(filter, plan, into: prepared)
      case .tiled: try copy(filter.reshaped(prepared.shape), into: prepared)
      case .product, .direct, .directFilterGradient, .plain:
        try pack(filter, problem, packedFilter(problem, method), into: prepared)
      }
    }
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) throws {
    precondition(
      dy.shape == geometry.output && filter.shape == geometry.filter && dx.shape == geometry.input,
      "[convolutionInputGradient] \(dy.shape), \(filter.shape) → \(dx.shape), expected \(geometry)")
    try executing(ConvolutionWork(.inputGradient, geometry, dy.type, accumulates: accumulate)) {
      let g = geometry.flattened
      let phases = inputGradientPhases(g, dy.type)
      if phases.map(\.method) == [.product] {
        return try multiplyPixels(dy, filter, g, .inputGradient, accumulate: accumulate, into: dx)
      }
      // Pixels between the taps of a small filter with a large stride get no gradient.
      let reached = phases.reduce(0) { $0 + $1.rows.outputs * $1.columns.outputs }
      if !accumulate && reached < g.h * g.w { try fill(dx, with: 0) }

      let turned = try tensor([turnedFilterCount(phases)])
      // The phase that borrows most comes first. The memory that it gives back is enough for the others.
      for phase in phases.sorted(by: { borrowed($0) > borrowed($1) }) {
        try turn(filter, g, phase, into: turned)
        try convolve(dy, turned, isTransformed: false, phase.problem, phase.method, Ending(into: dx, accumulate: accumulate))
      }
    }
  }

  /// Returns the bytes that one phase of an input gradient borrows besides the turned filter.
  private func borrowed(_ phase: InputGradientPhase) -> Int {
    workspaces(phase.problem, phase.method, isTransformed: false).reduce(0, +)
  }

  /// Writes the filter of one phase of an input gradient in the order in which the method reads it.
  private func turn(_ filter: Tensor, _ g: Conv2D, _ phase: InputGradientPhase, into turned: Tensor) throws {
    let (problem, taps) = (phase.problem, phase.rows.taps * phase.columns.taps)
    let arguments: [Argument] = [
      .buffer(filter.buffer), .buffer(turned.buffer), .int(g.s), .int(g.groupC), .int(g.k), .int(problem.wStart),
      .int(phase.columns.taps), .int(phase.rows.firstTap), .int(phase.columns.firstTap), .int(g.stride), .int(g.groupK),
    ]
    // The methods for GPUs read a single panel.
    let isLocalTiled = phase.method.algorithm == .tiled || phase.method.algorithm == .batched
    if isLocalTiled {
      let side = traits.largestGroup >= 256 ? 16 : 8
      let blocks = [g.groupC, g.groupK].map { ($0 + side - 1) / side * side }
      return try launch(
        KernelSpecialization(.packFilter, "turn_filter", ["SIDE": side], groups(g.groups)), global: blocks + [taps * g.groups],
        local: [side, side, 1], arguments)
    }
    try launch(
      KernelSpecialization(.packFilter, "pack_turned_filter", phase.filter.defines, pairs(phase.filter.terms)),
      global: [problem.k / phase.filter.panel, taps], arguments)
  }

  /// Returns an input gradient as convolutions, one for each phase that has taps and pixels. Their filters lie one after the
  /// other.
  func inputGradientPhases(_ g: Conv2D, _ storage: DataType) -> [InputGradientPhase] {
    var start = 0
    let rowPhases = PhaseAxis.all(size: g.h, window: g.r, stride: g.stride, padding: g.padding)
    let columnPhases = PhaseAxis.all(size: g.w, window: g.s, stride: g.stride, padding: g.padding)
    return rowPhases.filter(\.isUsed).flatMap { rows in
      columnPhases.filter(\.isUsed).map { columns in
        let problem = ConvolutionProblem(inputGradient: g, rows: rows, columns: columns, wStart: start)
        let method = method(problem, storage, .inputGradient)
        let filter = packedFilter(problem, method)
        start += filter.count
        return InputGradientPhase(rows: rows, columns: columns, problem: problem, method: method, filter: filter)
      }
    }
  }

  /// Returns the number of elements of the filters of all phases.
  private func turnedFilterCount(_ phases: [InputGradientPhase]) -> Int {
    phases.last.map { $0.problem.wStart + $0.filter.count } ?? 0
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws {
    precondition(
      x.shape == geometry.input && dy.shape == geometry.output && dw.shape == geometry.filter,
      "[convolutionFilterGradient] \(x.shape), \(dy.shape) → \(dw.shape), expected \(geometry)")
    try executing(ConvolutionWork(.filterGradient, geometry, x.type)) {
      let g = geometry.flattened
      switch method(filterGradient: g, x.type) {
      case .product: try multiplyPixels(x, dy, g, .filterGradient, into: dw)
      case .tiled(let plan): try multiplyTiles(x, dy, ConvolutionProblem(forward: g), plan, Ending(into: dw))
      case .batched(let plan): try winogradFilterGradient(x, dy, ConvolutionProblem(forward: g), plan, into: dw)
      case .winograd(let plan): try winogradFilterGradient(x, dy, g, plan, into: dw)
      case .directFilterGradient(let plan): try filterGradient(x, dy, g, plan, into: dw)
      case .direct, .plain:
        let width = traits.vectorWidth(dividing: g.groupK)
        try launch(
          KernelSpecialization(
            .convolutionFilterGradient, "filter_gradient_plain", ["VW": width], x.type.storage),
          global: [g.k / width, g.groupC, g.r * g.s], [.buffer(x.buffer), .buffer(dy.buffer), .buffer(dw.buffer)] + sizes(g))
      }
    }
  }

  private func sizes(_ g: Conv2D) -> [Argument] {
    [g.n, g.h, g.w, g.c, g.k, g.p, g.q, g.r, g.s, g.padding, g.stride, g.groups].map { .int($0) }
  }

  /// Computes the direct filter gradient.
  private func filterGradient(_ x: Tensor, _ dy: Tensor, _ g: Conv2D, _ plan: FilterGradientPlan, into dw: Tensor) throws {
    let partial = plan.splits == 1 ? dw : try tensor([plan.splits, g.r, g.s, g.groupC, g.k])
    try launch(
      KernelSpecialization(
        .convolutionFilterGradient, "filter_gradient",
        ["VW": plan.width, "TI": plan.inputChannels, "TC": plan.channelVectors], plan.constants(g), pairs(plan.terms),
        x.type.storage),
      global: [g.k / plan.depth, plan.splits], groupsOfOne: true,
      [
        .buffer(x.buffer), .buffer(dy.buffer), .buffer(partial.buffer), .local(plan.inputBytes), .local(plan.gradientBytes),
      ] + sizes(g) + [plan.depth, plan.rows, plan.inputPitch, plan.gradientPitch, plan.sample].map { .int($0) })
    if plan.splits == 1 { return }
    try launch(
      KernelSpecialization(.convolutionFilterGradient, "add_splits", ["VW": plan.width]), global: [dw.count / plan.width],
      [.buffer(partial.buffer), .buffer(dw.buffer), .int(dw.count), .int(plan.splits)])
  }

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] {
    switch operation {
    case .convolution(let work): convolutionWorkspaces(work)
    case .multiply(let product): exactly { tapConvolution(product).map(convolutionWorkspaces) ?? [] }
    case .batchNormStatistics(let rows, let channels): [statisticsWorkspace(rows: rows, channels: channels)]
    case .batchNormGradient(let rows, let channels): [gradientWorkspace(rows: rows, channels: channels)]
    case .crossEntropy(let rows): [rows * 3 * 4]
    case .updateLossScale(let count), .squaredNorm(let count): [reductionWorkspace(count)]
    }
  }

  private func convolutionWorkspaces(_ work: ConvolutionWork) -> [Int] {
    planning(work) {
      let g = work.geometry.flattened
      if work.pass == .forwardWithStatistics {
        let rows = g.n * g.p * g.q
        let chunks = chunksInEpilogue(work.geometry, work.storage) ?? momentChunks(rows: rows, channels: g.k)
        return [chunks * 3 * g.k * 4] + convolutionWorkspaces(work.withoutStatistics)
      }
      switch work.pass {
      case .forward, .forwardWithStatistics:
        let problem = ConvolutionProblem(forward: g)
        let method = method(problem, work.storage, .forward)
        let packed = packedFilter(problem, method)
        return (packed.isFilter(problem) ? [] : [packed.count * 4]) + workspaces(problem, method, isTransformed: false)
      case .inference:
        let (problem, method, _) = inference(work.geometry, work.storage)
        return workspaces(problem, method, isTransformed: true)
      case .inputGradient:
        // Workspaces are the turned filter and those of the largest phase, because one phase runs after the other.
        let phases = inputGradientPhases(g, work.storage)
        if phases.map(\.method) == [.product] { return [] }
        let largest = phases.max { borrowed($0) < borrowed($1) }
        return [turnedFilterCount(phases) * 4]
          + (largest.map { workspaces($0.problem, $0.method, isTransformed: false) } ?? [])
      case .filterGradient:
        switch method(filterGradient: g, work.storage) {
        case .tiled(let plan): return plan.workspaces
        case .batched(let plan): return plan.workspaces(isGradient: true)
        case .winograd(let plan): return plan.workspaces(g.c, g.k)
        case .directFilterGradient(let plan): return [plan.workspaceByteCount(g)].filter { $0 > 0 }
        case .product, .direct, .plain: return []
        }
      }
    }
  }

  /// Returns the workspaces that ``convolve(_:_:isTransformed:_:_:_:)`` borrows.
  private func workspaces(_ problem: ConvolutionProblem, _ method: ConvolutionMethod, isTransformed: Bool) -> [Int] {
    switch method {
    case .tiled(let plan): plan.workspaces
    case .batched(let plan): Array(plan.workspaces(isGradient: false).dropFirst(isTransformed ? 1 : 0))
    case .winograd(let plan):
      Array(plan.workspaces(problem.c, problem.k).dropFirst(isTransformed ? 1 : 0))
    case .product, .direct, .directFilterGradient, .plain: []
    }
  }

  /// Returns the form of the filter that a method reads. Only the direct and plain kernels need a packed one.
  private func packedFilter(_ problem: ConvolutionProblem, _ method: ConvolutionMethod) -> PackedFilter {
    switch method {
    case .product, .tiled, .batched, .winograd: return PackedFilter(problem, width: 1, panel: problem.k)
    case .direct(let plan): return plan.filter
    case .directFilterGradient, .plain:
      let width = traits.vectorWidth(dividing: problem.groupK)
      return PackedFilter(problem, width: width, panel: width)
    }
  }

  /// Packs the filter of a forward pass into panels.
  private func pack(_ filter: Tensor, _ problem: ConvolutionProblem, _ form: PackedFilter, into packed: Tensor) throws {
    try launch(
      KernelSpecialization(.packFilter, "pack_filter", form.defines, pairs(form.terms)),
      global: [problem.k / form.panel, form.runs],
      [.buffer(filter.buffer), .buffer(packed.buffer), .int(form.length), .int(problem.k)])
  }

  /// Computes a convolution with a filter in the form that its method reads.
  /// - Parameter isTransformed: whether a filter for Winograd's convolution has been transformed already.
  private func convolve(
    _ x: Tensor, _ filter: Tensor, isTransformed: Bool, _ problem: ConvolutionProblem, _ method: ConvolutionMethod,
    _ ending: Ending
  ) throws {
    switch method {
    case .tiled(let plan): try multiplyTiles(x, filter, problem, plan, ending)
    case .batched(let plan): try winograd(x, filter, isTransformed: isTransformed, problem, plan, ending)
    case .winograd(let plan): try winograd(x, filter, isTransformed: isTransformed, problem, plan, ending)
    case .direct(let plan): try convolveDirectly(x, filter, problem, plan, ending)
    case .product, .directFilterGradient, .plain: try convolveDirectly(x, filter, problem, nil, ending)
    }
  }

  /// Computes the direct convolution with a filter in panels.
  /// - Parameter plan: nil for the kernel without tiles.
  private func convolveDirectly(
    _ x: Tensor, _ filter: Tensor, _ problem: ConvolutionProblem, _ plan: ConvolutionPlan?, _ ending: Ending
  ) throws {
    let operands: [Argument] = [.buffer(x.buffer), .buffer(filter.buffer)] + ending.arguments
    let sizes: [Argument] = [
      .int(problem.wStart), .int(problem.h), .int(problem.w), .int(problem.c), .int(problem.k), .int(problem.p), .int(problem.q),
      .int(problem.r), .int(problem.s), .int(problem.padTop), .int(problem.padLeft),
    ]
    let strides: [Argument] = [
      .int(problem.yImage), .int(problem.yRow), .int(problem.yColumn), .int(problem.yStart), .int(problem.stride),
      .int(problem.groups),
    ]
    // Bytes moved, including the operands of the epilogue.
    let moved = problem.traffic(x.type) + (ending.accumulate ? problem.written(x.type) : 0) + ending.otherBytes
    guard let plan else {
      let width = traits.vectorWidth(dividing: problem.groupK)
      return try launch(
        KernelSpecialization(
          .convolution, "convolution_plain", ["VW": width], ending.defines, x.type.storage),
        global: [problem.q, problem.p, problem.n], moving: moved,
        operands + sizes + strides)
    }
    try launch(
      KernelSpecialization(
        .convolution, "convolution",
        ["VW": plan.width, "TC": plan.channelVectors, "TP": plan.tileRows, "TQ": plan.tileColumns], plan.constants(problem),
        pairs(plan.terms), ending.defines, x.type.storage),
      global: [plan.blocks, problem.n], groupsOfOne: true, moving: moved,
      operands + [ending.momentsArgument, .local(plan.stripBytes)] + sizes + strides
        + [.int(plan.sample), .int(plan.pitch), .int(plan.row)])
  }
}

/// One phase of an input gradient: its taps and pixels, and the convolution that computes it.
struct InputGradientPhase {
  let rows, columns: PhaseAxis
  let problem: ConvolutionProblem
  let method: ConvolutionMethod
  let filter: PackedFilter
}

extension Conv2D {
  /// Convolution with the same sums, but with all pixels of all images in rows of a convenient length, if the filter is a single
  /// tap that meets every pixel. Otherwise this convolution itself.
  var flattened: Conv2D {
    guard r == 1 && s == 1 && stride == 1 && padding == 0 && groups == 1 else { return self }
    let pixels = n * h * w
    // A row of input stays within 256 KB. Tiles of 14 pixels divide multiples of 14 evenly.
    let longest = min(pixels, max(28, min(128, (64 << 10) / max(c, k))))
    let lengths = (min(28, pixels)...longest).filter { pixels % $0 == 0 }
    guard let length = lengths.last(where: { $0 % 14 == 0 }) ?? lengths.last else { return self }
    return Conv2D(input: [1, pixels / length, length, c], filter: filter)
  }
}
