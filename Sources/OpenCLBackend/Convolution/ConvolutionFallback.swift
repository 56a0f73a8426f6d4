import Compute
import OpenCL
import Support

/// A convolution that another algorithm computes because the driver refuses a kernel of the preferred one, or makes it compute a
/// wrong result.
public struct ConvolutionFallback: Sendable, CustomStringConvertible {
  /// Fault of the preferred kernels.
  public enum Fault: Hashable, Sendable {
    /// The driver's compiler refuses a file, for example `convolution_tiled.cl`.
    case refused(file: String)
    /// The kernels of an algorithm, for example `winograd`, compute a wrong result or do not run.
    case wrong(algorithm: String)
  }

  /// The convolution.
  public let work: ConvolutionWork
  /// Fault of the preferred kernels.
  public let fault: Fault
  /// Algorithm that computes the convolution instead.
  public let choice: ConvolutionChoice
  /// Failed call, with the compiler's options and output; or the error in the result.
  public let log: String

  public var description: String {
    let problem =
      switch fault {
      case .refused(let file): "\(file) does not build for \(work)"
      case .wrong(let algorithm): "\(algorithm) kernels are wrong for \(work) on this device"
      }
    return "\(problem); \(choice.algorithmName) kernels compute it instead"
  }

  /// Advice for the user, without a capital letter and a full stop.
  public var advice: String {
    switch fault {
    case .refused: "`resnet verify` shows what its compiler says"
    case .wrong: "install a newer driver, and report this with what `resnet verify` prints (\(log))"
    }
  }
}

/// Reason why a plan is not used.
private struct Refusal {
  let fault: ConvolutionFallback.Fault
  let log: String
  /// The error for the user, if no other plan works either.
  let failure: Failure
}

extension OpenCLBackend {
  /// Returns a plan whose kernels build, and compute the right result if plans are checked. If those of the preferred plan do
  /// not, simpler kernels replace them for good.
  /// - Throws: ``Failure`` if not even the simplest kernels work.
  func planThatWorks(_ work: PlannedWork) throws -> PassPlan {
    let wanted = choice(for: work)
    guard fallsBack else { return planner.plan(work, wanted) }
    guard let device = deviceExecutor else {
      let plan = planner.plan(work, wanted)
      // Enqueuing the work asks for the same plan again.
      plansInUse[work] = plan
      if listsTrials { try enqueue(work, on: operands(of: work.work)) }
      return plan
    }
    var refusal: Refusal?
    for choice in [wanted, nil] + ConvolutionAlgorithms.substitutes(traits.kernelClass) where choice != wanted || refusal == nil {
      if let found = try refusalOfPlan(work, choice, on: device) {
        refusal = refusal ?? found
        continue
      }
      let plan = planner.plan(work, choice)
      if let refusal { fallBack(to: choice, plan, for: work, refusal) }
      return plan
    }
    guard let refusal else { preconditionFailure("[convolution] no choice for \(work.work)") }
    throw refusal.failure
  }

  /// Returns the reason why a convolution cannot be computed by a choice; nil if it can.
  private func refusalOfPlan(
    _ work: PlannedWork, _ choice: ConvolutionChoice?, on device: DeviceExecutor
  ) throws -> Refusal? {
    let kernels: [KernelSpecialization]
    do {
      // Listing may build, too, to find out the largest work-group size.
      kernels = try self.kernels(of: work, by: choice, on: device)
      for kernel in kernels { try device.build(kernel) }
    } catch let failure as KernelBuildFailure {
      return Refusal(fault: .refused(file: failure.file), log: failure.log, failure: failure.failure)
    }
    guard let complaint = try complaint(work, choice, kernels, on: device) else { return nil }
    let algorithm = type(of: planner.plan(work, choice).algorithms[0]).name
    return Refusal(
      fault: .wrong(algorithm: algorithm), log: complaint,
      failure: Failure(
        .device, about: name, "\(algorithm) kernels are wrong for \(work.work), and so are all others: \(complaint)",
        remedy: "try another \(Setting.device) or a newer driver; `resnet verify` tells more"))
  }

  private func fallBack(to choice: ConvolutionChoice?, _ plan: PassPlan, for work: PlannedWork, _ refusal: Refusal) {
    choose(choice, for: work)
    let fallback = ConvolutionFallback(
      work: work.work.withoutStatistics, fault: refusal.fault, choice: choice ?? ConvolutionChoice(plan.algorithms[0]),
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
    try backend.enqueue(work, on: backend.operands(of: work.work))
    return lister.kernels
  }

  /// Returns whether a device's compiler accepts the matrix instructions of the device's generation.
  static func buildsMatrixInstructions(_ device: DeviceExecutor, _ traits: DeviceTraits) throws -> Bool {
    let lister = KernelLister()
    let sample = Conv2D(input: [4, 16, 16, 32], filter: [3, 3, 32, 64], padding: 1)
    let work = PlannedWork(work: ConvolutionWork(.forward, sample), math: traits.math)
    let backend = OpenCLBackend("matrix instructions", ConvolutionPlanner(traits), lister, alignment: 64)
    try backend.enqueue(work, on: backend.operands(of: work.work))
    do {
      for kernel in lister.kernels { try device.build(kernel) }
      return true
    } catch is KernelBuildFailure { return false }
  }
}
