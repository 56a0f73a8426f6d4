import Compute

/// Naive convolution: simple loops without tiles or local memory. It supports every convolution.
struct NaiveConvolution: ConvolutionAlgorithm {
  static let name = "plain"
  static let isSubstitute = true

  func plan(_ task: ConvolutionTask, isChosen: Bool) -> (any ConvolutionPlan)? { NaivePlan(task) }

  func planFilterGradient(_ task: ConvolutionTask, isChosen: Bool) -> (any FilterGradientPlan)? {
    NaiveFilterGradientPlan(task)
  }
}

/// Naive convolution by a kernel of `convolution.cl`.
struct NaivePlan: PanelPlan {
  typealias Algorithm = NaiveConvolution

  let problem: ConvolutionProblem
  let panels: PackedFilter
  let packing: KernelLaunch
  private let storage: DataType
  private let launches: EpilogueLaunches

  init(_ task: ConvolutionTask) {
    let (problem, storage) = (task.problem, task.storage)
    let width = task.traits.vectorWidth(dividing: problem.groupK)
    panels = PackedFilter(problem, width: width, panel: width)
    (self.problem, self.storage, packing) = (problem, storage, panels.packing)
    launches = EpilogueLaunches(task.epilogues()) { epilogue in
      KernelLaunch(
        KernelSpecialization("convolution.cl", "convolution_plain", ["VW": width], epilogue.defines, storage.storage),
        global: [problem.q, problem.p, problem.n])
    }
  }

  func enqueue(_ x: Tensor, prepared: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    try backend.launch(
      launches[epilogue], moving: problem.moved(storage, epilogue),
      [.buffer(x.buffer), .buffer(prepared.buffer)] + epilogue.arguments + [.structure(try problem.parameters)])
  }
}

/// Naive filter gradient by a kernel of `convolution_filter_gradient.cl`.
struct NaiveFilterGradientPlan: FilterGradientPlan {
  typealias Algorithm = NaiveConvolution

  private let problem: ConvolutionProblem
  private let launch: KernelLaunch

  init(_ task: ConvolutionTask) {
    problem = task.problem
    let width = task.traits.vectorWidth(dividing: problem.groupK)
    launch = KernelLaunch(
      KernelSpecialization("convolution_filter_gradient.cl", "filter_gradient_plain", ["VW": width], task.storage.storage),
      global: [problem.k / width, problem.groupC, problem.r * problem.s])
  }

  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws {
    try backend.launch(
      launch, [.buffer(x.buffer), .buffer(dy.buffer), .buffer(dw.buffer), .structure(try problem.parameters)])
  }
}
