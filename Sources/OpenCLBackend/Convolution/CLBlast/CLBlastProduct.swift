import Compute

/// A matrix product of float32 by CLBlast, for filters of a single tap that meets every pixel. Its rows are the pixels.
struct CLBlastProduct: ConvolutionAlgorithm {
  static let name = "product"

  func plan(_ task: ConvolutionTask, isChosen: Bool) -> (any ConvolutionPlan)? {
    // CLBlast has no epilogue.
    guard isChosen && task.pass != .inference && Self.supports(task) else { return nil }
    return CLBlastPlan(task)
  }

  func planFilterGradient(_ task: ConvolutionTask, isChosen: Bool) -> (any FilterGradientPlan)? {
    isChosen && Self.supports(task) ? CLBlastFilterGradientPlan(task.problem) : nil
  }

  private static func supports(_ task: ConvolutionTask) -> Bool {
    task.storage == .float32 && task.problem.isPlain && task.problem.isDense
  }
}

/// A convolution as a product by CLBlast, which takes the filter as it was given, also for an input gradient.
struct CLBlastPlan: ConvolutionPlan {
  typealias Algorithm = CLBlastProduct

  let problem: ConvolutionProblem
  private let product: MatrixProduct

  init(_ task: ConvolutionTask) {
    problem = task.problem
    product = MatrixProduct(
      m: problem.n * problem.h * problem.w, n: problem.k, k: problem.c, transposedB: task.pass == .inputGradient)
  }

  var turnedFilter: TurnedFilter? { nil }

  func enqueue(_ x: Tensor, prepared filter: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    try backend.multiplyByCLBlast(x, filter, product, accumulate: epilogue.accumulate, into: epilogue.y)
  }
}

/// A filter gradient as a product by CLBlast.
struct CLBlastFilterGradientPlan: FilterGradientPlan {
  typealias Algorithm = CLBlastProduct

  private let product: MatrixProduct

  init(_ problem: ConvolutionProblem) {
    product = MatrixProduct(m: problem.c, n: problem.k, k: problem.n * problem.h * problem.w, transposedA: true)
  }

  func enqueue(_ x: Tensor, _ dy: Tensor, into dw: Tensor, on backend: OpenCLBackend) throws {
    try backend.multiplyByCLBlast(x, dy, product, into: dw)
  }
}
