import Compute
import Kernels

extension OpenCLBackend {
  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws {
    precondition(
      x.shape == geometry.input && filter.shape == geometry.filter && y.shape == geometry.output,
      "[convolution] \(x.shape) ∗ \(filter.shape) → \(y.shape), expected \(geometry)")
    traits.choice = choice(for: ConvolutionWork(.forward, geometry))
    defer { traits.choice = nil }
    if isProduct(geometry) { return try multiplyPixels(x, filter, geometry, .forward, into: y) }
    try convolve(x, filter, ConvolutionProblem(forward: geometry), accumulate: false, into: y)
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) throws {
    let g = geometry
    precondition(
      dy.shape == g.output && filter.shape == g.filter && dx.shape == g.input,
      "[convolutionInputGradient] \(dy.shape), \(filter.shape) → \(dx.shape), expected \(g)")
    traits.choice = choice(for: ConvolutionWork(.inputGradient, g, accumulates: accumulate))
    defer { traits.choice = nil }
    if isProduct(g) { return try multiplyPixels(dy, filter, g, .inputGradient, accumulate: accumulate, into: dx) }
    let phases = inputGradientProblems(g)
    // Pixels between the taps of a small filter with a large stride get no gradient.
    let reached = phases.reduce(0) { $0 + $1.rows.outputs * $1.columns.outputs }
    if !accumulate && reached < g.h * g.w { try fill(dx, with: 0) }

    let turned = try tensor(g.filter)
    for phase in phases {
      try launch(
        Specialisation(.convolution, "turn_filter"), global: [(g.k + 15) / 16, phase.rows.taps * phase.columns.taps],
        [
          .buffer(filter.buffer), .buffer(turned.buffer), .int(g.s), .int(g.c), .int(g.k), .int(phase.problem.wStart),
          .int(phase.rows.taps), .int(phase.columns.taps), .int(phase.rows.firstTap), .int(phase.columns.firstTap),
          .int(g.stride),
        ])
      try convolve(dy, turned, phase.problem, accumulate: accumulate, into: dx)
    }
  }

  /// An input gradient as convolutions, one for each phase that has taps and pixels; their filters lie one after the other.
  func inputGradientProblems(
    _ g: Conv2D
  ) -> [(rows: PhaseAxis, columns: PhaseAxis, problem: ConvolutionProblem)] {
    var start = 0
    let rowPhases = PhaseAxis.all(size: g.h, window: g.r, stride: g.stride, padding: g.padding)
    let columnPhases = PhaseAxis.all(size: g.w, window: g.s, stride: g.stride, padding: g.padding)
    return rowPhases.filter(\.isUsed).flatMap { rows in
      columnPhases.filter(\.isUsed).map { columns in
        defer { start += rows.taps * columns.taps * g.c * g.k }
        return (rows, columns, ConvolutionProblem(inputGradient: g, rows: rows, columns: columns, wStart: start))
      }
    }
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws {
    precondition(
      x.shape == geometry.input && dy.shape == geometry.output && dw.shape == geometry.filter,
      "[convolutionFilterGradient] \(x.shape), \(dy.shape) → \(dw.shape), expected \(geometry)")
    traits.choice = choice(for: ConvolutionWork(.filterGradient, geometry))
    defer { traits.choice = nil }
    if isProduct(geometry) { return try multiplyPixels(x, dy, geometry, .filterGradient, into: dw) }
    let g = geometry.flattened
    if let plan = WinogradPlan(filterGradient: g, traits) { return try winogradFilterGradient(x, dy, g, plan, into: dw) }
    let plan = FilterGradientPlan(g, traits)
    let partial = plan.splits == 1 ? dw : try tensor([plan.splits, g.r, g.s, g.c, g.k])
    try launch(
      Specialisation(
        .convolutionFilterGradient, "filter_gradient",
        [
          "VW": plan.width, "TI": plan.inputChannels, "TC": plan.channelVectors, "TU": plan.sets, "STRIDE": g.stride,
        ]),
      global: [g.r * g.s * (g.c / plan.inputChannels) * (g.k / (plan.width * plan.channelVectors)), plan.splits],
      groupsOfOne: true,
      [
        .buffer(x.buffer), .buffer(dy.buffer), .buffer(partial.buffer), .int(g.n), .int(g.h), .int(g.w), .int(g.c), .int(g.k),
        .int(g.p), .int(g.q), .int(g.r), .int(g.s), .int(g.padding),
      ])
    if plan.splits == 1 { return }
    try launch(
      Specialisation(.convolutionFilterGradient, "add_splits", ["VW": plan.width]), global: [dw.count / plan.width],
      [.buffer(partial.buffer), .buffer(dw.buffer), .int(dw.count), .int(plan.splits)])
  }

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] {
    switch operation {
    case .convolution(let work): convolutionWorkspaces(work)
    case .multiply(let product): tapConvolution(product).map(convolutionWorkspaces) ?? []
    case .batchNorm(let rows, let channels): [batchNormWorkspace(rows: rows, channels: channels)]
    case .crossEntropy(let rows): [rows * 3 * 4]
    }
  }

  private func convolutionWorkspaces(_ work: ConvolutionWork) -> [Int] {
    let geometry = work.geometry
    traits.choice = choice(for: work)
    defer { traits.choice = nil }
    if isProduct(geometry) { return [] }
    switch work.pass {
    case .forward: return winogradWorkspaces(ConvolutionProblem(forward: geometry))
    case .inputGradient:
      // The turned filter, and what the one phase of a stride of 1 needs.
      return [geometry.filter.count * 4] + inputGradientProblems(geometry).flatMap { winogradWorkspaces($0.problem) }
    case .filterGradient: return filterGradientWorkspaces(geometry)
    }
  }

  private func winogradWorkspaces(_ problem: ConvolutionProblem) -> [Int] {
    WinogradPlan(problem, traits)?.workspaces(problem.c, problem.k, isGradient: false) ?? []
  }

  private func filterGradientWorkspaces(_ geometry: Conv2D) -> [Int] {
    let g = geometry.flattened
    if let plan = WinogradPlan(filterGradient: g, traits) { return plan.workspaces(g.c, g.k, isGradient: true) }
    return [FilterGradientPlan(g, traits).workspaceByteCount(g)].filter { $0 > 0 }
  }

  private func convolve(
    _ x: Tensor, _ filter: Tensor, _ problem: ConvolutionProblem, accumulate: Bool, into y: Tensor
  ) throws {
    if let plan = WinogradPlan(problem, traits) {
      return try winograd(x, filter, problem, plan, accumulate: accumulate, into: y)
    }
    let operands: [Argument] = [.buffer(x.buffer), .buffer(filter.buffer), .buffer(y.buffer)]
    let sizes: [Argument] = [
      .int(problem.wStart), .int(problem.h), .int(problem.w), .int(problem.c), .int(problem.k), .int(problem.p), .int(problem.q),
      .int(problem.r), .int(problem.s), .int(problem.padTop), .int(problem.padLeft), .int(problem.yImage), .int(problem.yRow),
      .int(problem.yColumn), .int(problem.yStart),
    ]
    guard let plan = ConvolutionPlan(problem, traits) else {
      let width = traits.vectorWidth(dividing: problem.k)
      return try launch(
        Specialisation(
          .convolution, "convolution_plain", ["VW": width, "STRIDE": problem.stride, "ACCUMULATE": accumulate ? 1 : 0]),
        global: [problem.q, problem.p, problem.n], operands + sizes)
    }
    try launch(
      Specialisation(
        .convolution, "convolution",
        [
          "VW": plan.width, "TC": plan.channelVectors, "TP": plan.tileRows, "TQ": plan.tileColumns, "STRIDE": problem.stride,
          "PACK": plan.packs ? 1 : 0, "ACCUMULATE": accumulate ? 1 : 0,
        ]),
      global: [plan.blocks, problem.n], groupsOfOne: true, operands + [.local(max(4, plan.stripBytes))] + sizes)
  }
}

extension Conv2D {
  /// The same sums with each image as one long row, where the filter is a single tap that meets every pixel.
  var flattened: Conv2D {
    r == 1 && s == 1 && stride == 1 && padding == 0 ? Conv2D(input: [n, 1, h * w, c], filter: filter) : self
  }
}
