import Compute

/// Method for one pass of a convolution, or for one phase of an input gradient: the kernels and all sizes that they run with.
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
  /// Returns the method for a convolution, by the choice in force (``planning(_:_:)``).
  /// - Parameter pass: pass that the convolution is, or a phase of which it is; for a filter gradient see
  ///   ``method(filterGradient:_:)``.
  func method(_ problem: ConvolutionProblem, _ storage: DataType, _ pass: ConvolutionPass) -> ConvolutionMethod {
    // CLBlast takes the filter as it is, and has no epilogue.
    if isProduct(problem, storage) && pass != .inference { return .product }
    let isTraining = pass == .forward || pass == .forwardWithStatistics
    if let plan = BatchedPlan(problem, traits, isTraining: isTraining) { return .batched(plan) }
    if let plan = TiledPlan(problem, storage, traits) { return .tiled(plan) }
    if let plan = WinogradPlan(problem, traits, isTraining: isTraining) { return .winograd(plan) }
    return ConvolutionPlan(problem, traits).map { .direct($0) } ?? .plain
  }

  /// Returns the method for a filter gradient, by the choice in force.
  func method(filterGradient geometry: Conv2D, _ storage: DataType) -> ConvolutionMethod {
    if isProduct(ConvolutionProblem(forward: geometry), storage) { return .product }
    if let plan = BatchedPlan(filterGradient: geometry, traits) { return .batched(plan) }
    if let plan = TiledPlan(filterGradient: geometry, storage, traits) { return .tiled(plan) }
    if let plan = WinogradPlan(filterGradient: geometry, traits) { return .winograd(plan) }
    return FilterGradientPlan(geometry, traits).map { .directFilterGradient($0) } ?? .plain
  }

  /// Whether CLBlast was chosen for this convolution, which must be a matrix product of float32: a single tap that meets every
  /// pixel.
  private func isProduct(_ problem: ConvolutionProblem, _ storage: DataType) -> Bool {
    traits.choice?.algorithm == .product && storage == .float32 && problem.isPlain && problem.isDense
  }

  /// Returns the methods for this work by a choice: for an input gradient one for each phase, otherwise a single one.
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
