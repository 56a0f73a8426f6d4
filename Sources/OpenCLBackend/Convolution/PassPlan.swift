import Compute

/// The plan of one pass of a convolution. It serves the launch, the dry run, the list of kernels and the tuner alike.
enum PassPlan {
  case forward(any ConvolutionPlan)
  case inference(any ConvolutionPlan)
  case inputGradient(InputGradientPlan)
  case filterGradient(any FilterGradientPlan)

  /// - Parameters:
  ///   - choice: how to compute the work; nil for the built-in choice.
  ///   - traits: device, and mathematics.
  init(_ work: ConvolutionWork, _ choice: ConvolutionChoice?, _ traits: DeviceTraits) {
    let g = work.geometry.flattened
    let task = ConvolutionTask(ConvolutionProblem(forward: g), work, traits)
    switch work.pass {
    case .forward, .forwardWithStatistics: self = .forward(ConvolutionAlgorithms.plan(task, choice))
    case .inference: self = .inference(ConvolutionAlgorithms.plan(task, choice))
    case .inputGradient: self = .inputGradient(InputGradientPlan(g, work, choice, traits))
    case .filterGradient: self = .filterGradient(ConvolutionAlgorithms.planFilterGradient(task, choice))
    }
  }

  /// Bytes of the workspaces that ``enqueue(_:_:_:on:)`` borrows.
  var workspaces: [Int] {
    switch self {
    case .forward(let plan): plan.workspaces(for: .given)
    case .inference(let plan): plan.workspaces(for: .prepared)
    case .inputGradient(let plan): plan.workspaces
    case .filterGradient(let plan): plan.workspaces
    }
  }

  /// Plan of a forward pass in training or inference; nil for a gradient.
  var convolution: (any ConvolutionPlan)? {
    switch self {
    case .forward(let plan), .inference(let plan): plan
    case .inputGradient, .filterGradient: nil
    }
  }

  /// Algorithms of the parts: for an input gradient one for each phase, otherwise a single one.
  var algorithms: [any ConvolutionAlgorithm] {
    switch self {
    case .forward(let plan), .inference(let plan): [plan.algorithm]
    case .inputGradient(let plan): plan.plans.map { $0.algorithm }
    case .filterGradient(let plan): [plan.algorithm]
    }
  }

  /// Value that is equal for plans that run the same kernels with the same sizes.
  var identity: [AnyHashable] {
    switch self {
    case .forward(let plan), .inference(let plan): [AnyHashable(plan)]
    case .inputGradient(let plan): plan.plans.map { AnyHashable($0) }
    case .filterGradient(let plan): [AnyHashable(plan)]
    }
  }

  /// Runs the pass.
  /// - Parameters:
  ///   - a: x, or dy for an input gradient.
  ///   - b: the filter, which is prepared in inference; or dy for a filter gradient.
  func enqueue(_ a: Tensor, _ b: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    switch self {
    case .forward(let plan): try plan.enqueue(a, b, .given, epilogue, on: backend)
    case .inference(let plan): try plan.enqueue(a, b, .prepared, epilogue, on: backend)
    case .inputGradient(let plan): try plan.enqueue(a, b, epilogue, on: backend)
    case .filterGradient(let plan): try plan.enqueue(a, b, into: epilogue.y, on: backend)
    }
  }
}
