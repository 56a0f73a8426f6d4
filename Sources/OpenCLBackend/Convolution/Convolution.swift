import Compute

extension OpenCLBackend {
  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws {
    check(.convolution(x, filter: filter, geometry, into: y))
    try run(ConvolutionWork(.forward, geometry, x.type), x, filter, into: y)
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) throws {
    check(.convolution(x, filter: filter, geometry, into: y, statistics))
    let partial = try convolutionTakingMoments(x, filter: filter, geometry, into: y)
    try mergeMoments(partial, rows: y.count / geometry.k, statistics)
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) throws {
    check(.convolutionInputGradient(dy, filter: filter, geometry, accumulate: accumulate, into: dx))
    try run(ConvolutionWork(.inputGradient, geometry, dy.type, accumulates: accumulate), dy, filter, into: dx)
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws {
    check(.convolutionFilterGradient(x, dy, geometry, into: dw))
    try run(ConvolutionWork(.filterGradient, geometry, x.type), x, dy, into: dw)
  }

  /// Runs a pass of training, except for statistics.
  /// - Parameters:
  ///   - a: x, or dy for an input gradient.
  ///   - b: the filter, or dy for a filter gradient.
  ///   - math: exactness of the factors; nil for that of the backend.
  func run(_ work: ConvolutionWork, _ a: Tensor, _ b: Tensor, into result: Tensor, _ math: MathMode? = nil) throws {
    work.require(a, b, result)
    try plan(for: work, math).enqueue(a, b, Epilogue(into: result, accumulate: work.accumulates), on: self)
  }

  /// Computes y = x ∗ filter, and returns the moments of chunks of y [chunks,3,K].
  func convolutionTakingMoments(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws -> Tensor {
    let work = ConvolutionWork(.forwardWithStatistics, geometry, x.type)
    work.require(x, filter, y)
    let plan = try plan(for: work)
    let chunks = plan.convolution?.momentChunks
    let partial = try tensor([chunks ?? momentChunks(rows: y.count / geometry.k, channels: geometry.k), 3, geometry.k])
    try plan.enqueue(x, filter, Epilogue(into: y, moments: chunks == nil ? nil : partial), on: self)
    if chunks == nil { try takeMoments(of: y, into: partial) }
    return partial
  }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) throws {
    let plan = try plan(for: ConvolutionWork(.inference, geometry, x.type))
    check(.convolution(x, prepared: prepared, plan.convolution?.preparedCount ?? 0, geometry, epilogue, into: y))
    try plan.enqueue(x, prepared, Epilogue(into: y, epilogue), on: self)
  }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int {
    try plan(for: ConvolutionWork(.inference, geometry, storage)).convolution?.preparedCount ?? 0
  }

  public func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    plannedPass(ConvolutionWork(.inference, geometry, storage)).convolution?.preparedCount ?? 0
  }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws {
    let plan = try plan(for: ConvolutionWork(.inference, geometry, storage)).convolution
    check(.prepareFilter(filter, geometry, storage, into: prepared, plan?.preparedCount ?? 0))
    try plan?.prepare(filter, into: prepared, on: self)
  }

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] {
    switch operation {
    case .convolution(let work): convolutionWorkspaces(work)
    case .multiply(let product): tapConvolution(product).map { plannedPass($0, .exact).workspaces } ?? []
    case .batchNormStatistics(let rows, let channels): [statisticsWorkspace(rows: rows, channels: channels)]
    case .batchNormGradient(let rows, let channels): [gradientWorkspace(rows: rows, channels: channels)]
    case .crossEntropy(let rows): [rows * 3 * 4]
    case .updateLossScale(let count), .squaredNorm(let count): [reductionWorkspace(count)]
    case .guardStep(let statistics, let gradients): ([statistics] + [gradients].compactMap { $0 }).map(reductionWorkspace)
    }
  }

  private func convolutionWorkspaces(_ work: ConvolutionWork) -> [Int] {
    let (plan, g) = (plannedPass(work), work.geometry)
    guard work.pass == .forwardWithStatistics else { return plan.workspaces }
    let chunks = plan.convolution?.momentChunks ?? momentChunks(rows: g.n * g.p * g.q, channels: g.k)
    return [chunks * 3 * g.k * 4] + plan.workspaces
  }
}

extension ConvolutionWork {
  /// Shapes of the operands and of the result.
  var shapes: (a: Shape, b: Shape, result: Shape) {
    switch pass {
    case .forward, .forwardWithStatistics, .inference: (geometry.input, geometry.filter, geometry.output)
    case .inputGradient: (geometry.output, geometry.filter, geometry.input)
    case .filterGradient: (geometry.input, geometry.output, geometry.filter)
    }
  }

  /// Stops the program if the operands do not have the shapes of this work.
  fileprivate func require(_ a: Tensor, _ b: Tensor, _ result: Tensor) {
    let shapes = shapes
    precondition(
      a.shape == shapes.a && b.shape == shapes.b && result.shape == shapes.result,
      "[convolution] \(pass.rawValue) of \(a.shape), \(b.shape) → \(result.shape), expected \(geometry)")
  }
}
