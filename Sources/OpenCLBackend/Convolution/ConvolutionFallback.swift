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

  public var description: String { "\(file) does not build for \(work); \(choice.algorithm) kernels compute it instead" }
}

/// Work whose kernels were tried, and everything that determines which kernels these are.
struct CheckedWork: Hashable {
  let work: ConvolutionWork
  let choice: ConvolutionChoice?
  let math: MathMode
}

extension OpenCLBackend {
  /// Makes sure that a convolution's kernels build. If one does not, simpler kernels replace them for good.
  /// - Throws: ``Failure`` if not even the simplest kernels build.
  func requireKernels(for work: ConvolutionWork) throws {
    guard fallsBack else { return }
    let wanted = choice(for: work)
    let key = CheckedWork(work: work, choice: wanted, math: traits.math)
    if checked.contains(key) { return }
    guard let device = deviceExecutor else {
      // Enqueuing the work asks for the same kernels again.
      checked.insert(key)
      if listsTrials { try enqueue(work) }
      return
    }
    let simpler = [traits.kernelClass == .localTiled ? .tiled : .direct, .plain].map { ConvolutionChoice($0) }
    var refusal: KernelBuildFailure?
    for choice in [wanted, nil] + simpler where choice != wanted || refusal == nil {
      do {
        for kernel in try kernels(of: work, by: choice, on: device) { try device.build(kernel) }
      } catch let failure as KernelBuildFailure {
        refusal = refusal ?? failure
        continue
      }
      if let refusal { fallBack(to: choice, for: work, refusal) }
      checked.insert(CheckedWork(work: work, choice: choice, math: traits.math))
      return
    }
    if let refusal { throw refusal.failure }
  }

  private func fallBack(to choice: ConvolutionChoice?, for work: ConvolutionWork, _ refusal: KernelBuildFailure) {
    let work = work.withoutStatistics
    choose(choice, for: work)
    let taken = choice ?? ConvolutionChoice(methods(for: work, by: nil).first?.algorithm ?? .plain)
    let fallback = ConvolutionFallback(work: work, file: refusal.file, choice: taken, log: refusal.log)
    fallbacks.append(fallback)
    onFallback?(fallback)
  }

  /// Returns the kernels of a convolution that is computed by a choice.
  private func kernels(
    of work: ConvolutionWork, by choice: ConvolutionChoice?, on device: DeviceExecutor
  ) throws -> [KernelSpecialization] {
    let lister = KernelLister(for: device)
    let plans = OpenCLBackend(name, traits, lister, alignment: alignment)
    plans.choose(choice, for: work.withoutStatistics)
    try plans.enqueue(work)
    return lister.specializations
  }

  /// Returns whether a device's compiler accepts the matrix instructions of the device's generation.
  static func buildsMatrixInstructions(_ device: DeviceExecutor, _ traits: DeviceTraits) throws -> Bool {
    let lister = KernelLister()
    let sample = Conv2D(input: [4, 16, 16, 32], filter: [3, 3, 32, 64], padding: 1)
    try OpenCLBackend("matrix instructions", traits, lister, alignment: 64).enqueue(ConvolutionWork(.forward, sample))
    do {
      for kernel in lister.specializations { try device.build(kernel) }
      return true
    } catch is KernelBuildFailure { return false }
  }

  /// Enqueues work on new operands.
  private func enqueue(_ work: ConvolutionWork) throws {
    let g = work.geometry
    let (x, y) = (try tensor(g.input, work.storage), try tensor(g.output, work.storage))
    let filter = try tensor(g.filter)
    switch work.pass {
    case .forward: try convolution(x, filter: filter, g, into: y)
    case .forwardWithStatistics: _ = try convolutionTakingMoments(x, filter: filter, g, into: y)
    case .inference:
      let prepared = try tensor([plannedFilterCount(g, work.storage)])
      try prepareFilter(filter, g, work.storage, into: prepared)
      // A filter is prepared before the operation after the convolution is known. On GPUs the largest epilogue represents all of
      // them; on CPUs, whose compilers are slow, it is the usual one.
      let residual = traits.kernelClass == .localTiled ? y : nil
      let (scale, bias) = (try tensor([g.k]), try tensor([g.k]))
      try convolution(
        x, prepared: prepared, g, ConvolutionEpilogue(scale: scale, bias: bias, residual: residual, relu: true), into: y)
    case .inputGradient: try convolutionInputGradient(y, filter: filter, g, accumulate: work.accumulates, into: x)
    case .filterGradient: try convolutionFilterGradient(x, y, g, into: filter)
    }
  }
}
