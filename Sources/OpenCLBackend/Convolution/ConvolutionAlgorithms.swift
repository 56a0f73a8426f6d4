import Compute

/// The list of all ways to compute a convolution.
enum ConvolutionAlgorithms {
  /// Algorithms in the order in which a plan without a choice asks them, and in which the tuner tries them. The last one supports
  /// every convolution.
  static let all: [any ConvolutionAlgorithm.Type] = [
    BatchedWinograd.self, ImplicitGEMM.self, Winograd.self, DirectConvolution.self, CLBlastProduct.self, NaiveConvolution.self,
  ]

  /// Returns the plan of the chosen algorithm; without a choice, or if that algorithm does not support the convolution, the plan
  /// of the first algorithm that suits.
  static func plan(_ task: ConvolutionTask, _ choice: ConvolutionChoice?) -> any ConvolutionPlan {
    if let plan = choice?.algorithm.plan(task, isChosen: true) { return plan }
    for algorithm in all {
      if let plan = algorithm.init().plan(task, isChosen: false) { return plan }
    }
    preconditionFailure("[convolution] no algorithm for \(task.problem)")
  }

  /// Returns the plan of a filter gradient, by the same rule.
  static func planFilterGradient(_ task: ConvolutionTask, _ choice: ConvolutionChoice?) -> any FilterGradientPlan {
    if let plan = choice?.algorithm.planFilterGradient(task, isChosen: true) { return plan }
    for algorithm in all {
      if let plan = algorithm.init().planFilterGradient(task, isChosen: false) { return plan }
    }
    preconditionFailure("[convolution] no algorithm for the filter gradient of \(task.problem)")
  }

  /// Returns the choices worth trying for a pass on devices of a class, the most promising first.
  static func candidates(for pass: ConvolutionPass, _ kernelClass: KernelClass) -> [ConvolutionChoice] {
    suited(to: kernelClass).flatMap { candidates($0, pass) }
  }

  private static func candidates<A: ConvolutionAlgorithm>(_ algorithm: A.Type, _ pass: ConvolutionPass) -> [ConvolutionChoice] {
    algorithm.candidates(for: pass).map { ConvolutionChoice($0) }
  }

  /// Returns the choices that replace kernels which a driver refuses, the fastest first.
  static func substitutes(_ kernelClass: KernelClass) -> [ConvolutionChoice] {
    suited(to: kernelClass).filter { $0.isSubstitute }.map { ConvolutionChoice($0.init()) }
  }

  private static func suited(to kernelClass: KernelClass) -> [any ConvolutionAlgorithm.Type] {
    all.filter { ($0.kernelClass ?? kernelClass) == kernelClass }
  }
}
