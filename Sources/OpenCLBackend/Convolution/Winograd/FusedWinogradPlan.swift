import Compute

/// Winograd's convolution in one kernel of `winograd.cl`, after the transform of the filter.
struct FusedWinogradPlan: ConvolutionPlan {
  typealias Algorithm = Winograd

  let problem: ConvolutionProblem
  private let tiling: WinogradTiling
  private let filterTransform: KernelLaunch
  private let launches: EpilogueLaunches

  init(_ task: ConvolutionTask, _ tiling: WinogradTiling) {
    (problem, self.tiling, filterTransform) = (task.problem, tiling, tiling.filterTransform(tiling.k))
    launches = EpilogueLaunches(task.epilogues(takingMoments: true)) { epilogue in
      KernelLaunch(
        KernelSpecialization("winograd.cl", "winograd", tiling.defines, epilogue.defines, task.storage.storage),
        groupsOfOne: [tiling.items])
    }
  }

  var momentChunks: Int? { tiling.items }
  var preparedCount: Int { tiling.preparedCount }
  var turnedFilter: TurnedFilter? { .panels(PackedFilter(problem, width: 1, panel: problem.k)) }

  func needsPreparation(_ form: FilterForm) -> Bool { form != .prepared }

  func prepare(_ filter: Tensor, into prepared: Tensor, on backend: OpenCLBackend) throws {
    try backend.launch(
      filterTransform, [.buffer(filter.buffer), .buffer(prepared.buffer), .structure(try tiling.parameters(problem)), .int(0)])
  }

  func enqueue(_ x: Tensor, prepared: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    try backend.launch(
      launches[epilogue], moving: x.byteCount + prepared.byteCount + epilogue.bytes,
      [.buffer(x.buffer), .buffer(prepared.buffer)] + epilogue.arguments + [epilogue.momentsArgument]
        + (try tiling.onePassArguments(problem)))
  }
}

/// Winograd's filter gradient in one kernel of `winograd.cl`, before the transform of the sums.
struct FusedWinogradFilterGradientPlan: FilterGradientPlan {
  typealias Algorithm = Winograd

  private let problem: ConvolutionProblem
  private let tiling: WinogradTiling
  private let product, transform: KernelLaunch

  init(_ task: ConvolutionTask, _ tiling: WinogradTiling) {
    (problem, self.tiling) = (task.problem, tiling)
    product = KernelLaunch(
      KernelSpecialization("winograd.cl", "winograd_filter_gradient", tiling.defines, task.storage.storage),
      groupsOfOne: [tiling.splits])
    transform = tiling.gradientTransform(tiling.k)
  }

  /// The sums of all work-items.
  var workspaces: [Int] { [tiling.sumCount * 4] }

  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws {
    let sums = try backend.tensor([tiling.sumCount])
    try backend.launch(
      product, [.buffer(x.buffer), .buffer(dy.buffer), .buffer(sums.buffer)] + (try tiling.onePassArguments(problem)))
    try backend.launch(
      transform,
      [
        .buffer(sums.buffer), .buffer(dw.buffer), .structure(try tiling.parameters(problem)), .int(tiling.splits), .int(0),
      ])
  }
}
