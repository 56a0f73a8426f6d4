import Compute
import OpenCL

/// A convolution that another algorithm computes because the driver refuses a kernel of the preferred one.
public struct ConvolutionFallback: Sendable, CustomStringConvertible {
  /// The convolution.
  public let work: ConvolutionWork
  /// File of the refused kernel, for example `convolution_tiled.cl`.
  public let file: String
  /// Algorithm that computes the convolution instead.
  public let choice: ConvolutionChoice
  /// Failed call, with the compiler's options and output.
  public let log: String

  public var description: String { "\(file) does not build for \(work); \(choice.algorithmName) kernels compute it instead" }
}

extension OpenCLBackend {
  /// Returns a plan whose kernels build. If one of the preferred plan does not, simpler kernels replace it for good.
  /// - Throws: ``Failure`` if not even the simplest kernels build.
  func planThatBuilds(_ work: PlannedWork) throws -> PassPlan {
    let wanted = choice(for: work)
    guard fallsBack else { return planner.plan(work, wanted) }
    guard let device = deviceExecutor else {
      let plan = planner.plan(work, wanted)
      // Enqueuing the work asks for the same plan again.
      plansInUse[work] = plan
      if listsTrials { try enqueue(work) }
      return plan
    }
    var refusal: KernelBuildFailure?
    for choice in [wanted, nil] + ConvolutionAlgorithms.substitutes(traits.kernelClass) where choice != wanted || refusal == nil {
      do {
        for kernel in try kernels(of: work, by: choice, on: device) { try device.build(kernel) }
      } catch let failure as KernelBuildFailure {
        refusal = refusal ?? failure
        continue
      }
      let plan = planner.plan(work, choice)
      if let refusal { fallBack(to: choice, plan, for: work, refusal) }
      return plan
    }
    guard let refusal else { preconditionFailure("[convolution] no choice for \(work.work)") }
    throw refusal.failure
  }

  private func fallBack(
    to choice: ConvolutionChoice?, _ plan: PassPlan, for work: PlannedWork, _ refusal: KernelBuildFailure
  ) {
    choose(choice, for: work)
    let fallback = ConvolutionFallback(
      work: work.work.withoutStatistics, file: refusal.file, choice: choice ?? ConvolutionChoice(plan.algorithms[0]),
      log: refusal.log)
    fallbacks.append(fallback)
    onFallback?(fallback)
  }

  /// Returns the kernels of a convolution that is computed by a choice.
  private func kernels(
    of work: PlannedWork, by choice: ConvolutionChoice?, on device: DeviceExecutor
  ) throws -> [KernelSpecialization] {
    let lister = KernelLister(for: device)
    let backend = OpenCLBackend(name, planner, lister, alignment: alignment)
    backend.choose(choice, for: work)
    try backend.enqueue(work)
    return lister.kernels
  }

  /// Returns whether a device's compiler accepts the matrix instructions of the device's generation.
  static func buildsMatrixInstructions(_ device: DeviceExecutor, _ traits: DeviceTraits) throws -> Bool {
    let lister = KernelLister()
    let sample = Conv2D(input: [4, 16, 16, 32], filter: [3, 3, 32, 64], padding: 1)
    try OpenCLBackend("matrix instructions", ConvolutionPlanner(traits), lister, alignment: 64)
      .enqueue(PlannedWork(work: ConvolutionWork(.forward, sample), math: traits.math))
    do {
      for kernel in lister.kernels { try device.build(kernel) }
      return true
    } catch is KernelBuildFailure { return false }
  }

  /// Enqueues work on new operands.
  private func enqueue(_ planned: PlannedWork) throws {
    let (work, g) = (planned.work, planned.work.geometry)
    let (x, y) = (try tensor(g.input, work.storage), try tensor(g.output, work.storage))
    let filter = try tensor(g.filter)
    switch work.pass {
    case .forward: try run(work, x, filter, into: y, planned.math)
    case .forwardWithStatistics: _ = try convolutionTakingMoments(x, filter: filter, g, into: y)
    case .inference: try enqueueInference(g, x, filter, into: y)
    case .inputGradient: try run(work, y, filter, into: x, planned.math)
    case .filterGradient: try run(work, x, y, into: filter, planned.math)
    }
  }

  private func enqueueInference(_ g: Conv2D, _ x: Tensor, _ filter: Tensor, into y: Tensor) throws {
    let prepared = try tensor([plannedFilterCount(g, x.type)])
    try prepareFilter(filter, g, x.type, into: prepared)
    // A filter is prepared before the operation after the convolution is known. On GPUs the largest epilogue represents all of
    // them; on CPUs, whose compilers are slow, it is the usual one.
    let residual = traits.kernelClass == .localTiled ? try tensor(g.output, x.type) : nil
    let (scale, bias) = (try tensor([g.k]), try tensor([g.k]))
    try convolution(
      x, prepared: prepared, g, ConvolutionEpilogue(scale: scale, bias: bias, residual: residual, relu: true), into: y)
  }
}
