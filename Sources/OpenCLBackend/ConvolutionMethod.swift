import Compute

/// How one pass of a convolution, or one phase of an input gradient, is computed: the kernels and all the numbers they run with.
enum ConvolutionMethod: Hashable {
  case product
  case tiled(TiledPlan)
  case batched(BatchedPlan)
  case winograd(WinogradPlan)
  case direct(ConvolutionPlan)
  case directFilterGradient(FilterGradientPlan)
  case plain

  var algorithm: ConvolutionChoice.Algorithm {
    switch self {
    case .product: .product
    case .tiled: .tiled
    case .batched: .batched
    case .winograd: .winograd
    case .direct, .directFilterGradient: .direct
    case .plain: .plain
    }
  }
}

extension OpenCLBackend {
  /// How a convolution is computed, by the choice in force (``planning(_:_:)``).
  /// - Parameter pass: what the convolution is, or is a phase of; for a filter gradient see ``method(filterGradient:_:)``.
  func method(_ problem: ConvolutionProblem, _ storage: DataType, _ pass: ConvolutionPass) -> ConvolutionMethod {
    // CLBlast takes the filter as it is, and knows no epilogue.
    if isProduct(problem, storage) && pass != .inference { return .product }
    let isTraining = pass == .forward || pass == .forwardWithStatistics
    if let plan = BatchedPlan(problem, traits, isTraining: isTraining) { return .batched(plan) }
    if let plan = TiledPlan(problem, storage, traits) { return .tiled(plan) }
    if let plan = WinogradPlan(problem, traits, isTraining: isTraining) { return .winograd(plan) }
    return ConvolutionPlan(problem, traits).map { .direct($0) } ?? .plain
  }

  /// How a filter gradient is computed, by the choice in force.
  func method(filterGradient geometry: Conv2D, _ storage: DataType) -> ConvolutionMethod {
    if isProduct(ConvolutionProblem(forward: geometry), storage) { return .product }
    if let plan = BatchedPlan(filterGradient: geometry, traits) { return .batched(plan) }
    if let plan = TiledPlan(filterGradient: geometry, storage, traits) { return .tiled(plan) }
    if let plan = WinogradPlan(filterGradient: geometry, traits) { return .winograd(plan) }
    return FilterGradientPlan(geometry, traits).map { .directFilterGradient($0) } ?? .plain
  }

  /// Whether CLBlast was chosen for this convolution, which must be one that is a product of float32: a single tap that meets every
  /// pixel.
  private func isProduct(_ problem: ConvolutionProblem, _ storage: DataType) -> Bool {
    traits.choice?.algorithm == .product && storage == .float32 && problem.isPlain && problem.isDense
  }

  /// How this work is computed by a choice: of an input gradient, each phase.
  func methods(for work: ConvolutionWork, by choice: ConvolutionChoice?) -> [ConvolutionMethod] {
    planning(by: choice) {
      let g = work.geometry.flattened
      switch work.pass {
      case .forward, .forwardWithStatistics, .inference:
        return [method(ConvolutionProblem(forward: g), work.storage, work.pass)]
      case .inputGradient: return inputGradientPhases(g, work.storage).map(\.method)
      case .filterGradient: return [method(filterGradient: g, work.storage)]
      }
    }
  }
}
