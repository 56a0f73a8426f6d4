import Compute

/// Direct filter gradient by `convolution_filter_gradient.cl`.
struct DirectFilterGradientPlan: FilterGradientPlan {
  typealias Algorithm = DirectConvolution

  private let problem: ConvolutionProblem
  private let tiling: DirectFilterGradientTiling
  /// Launch that computes the gradient or its partial sums, and the one that adds these.
  private let product, adding: KernelLaunch

  init?(_ task: ConvolutionTask, _ chosen: DirectConvolution) {
    let problem = task.problem
    guard let tiling = DirectFilterGradientTiling(problem, task.traits, chosen) else { return nil }
    (self.problem, self.tiling) = (problem, tiling)
    product = KernelLaunch(
      KernelSpecialization(
        "convolution_filter_gradient.cl", "filter_gradient",
        ["VW": tiling.width, "TI": tiling.inputChannels, "TC": tiling.channelVectors], tiling.constants(problem),
        pairs(tiling.terms), task.storage.storage),
      groupsOfOne: [problem.k / tiling.depth, tiling.splits])
    adding = KernelLaunch(
      KernelSpecialization("convolution_filter_gradient.cl", "add_splits", ["VW": tiling.width]),
      global: [problem.filterCount / tiling.width])
  }

  /// The partial sums; none if one split writes the result itself.
  var workspaces: [Int] { tiling.splits == 1 ? [] : [tiling.splits * problem.filterCount * 4] }

  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws {
    let partial = tiling.splits == 1 ? dw : try backend.tensor([tiling.splits, problem.filterCount])
    try backend.launch(
      product,
      [
        .buffer(x.buffer), .buffer(dy.buffer), .buffer(partial.buffer), .local(tiling.inputBytes), .local(tiling.gradientBytes),
        .structure(try problem.parameters), .structure(try tiling.parameters),
      ])
    if tiling.splits == 1 { return }
    try backend.launch(
      adding, [.buffer(partial.buffer), .buffer(dw.buffer), .int(problem.filterCount), .int(tiling.splits)])
  }
}
