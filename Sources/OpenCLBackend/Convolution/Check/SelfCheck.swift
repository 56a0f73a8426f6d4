import Compute
import Support

/// Check of convolutions on their first use with a device and its driver.
///
/// A driver that was never seen before may compile a kernel wrongly. Each plan that a run needs is therefore checked once, and the
/// device's cache remembers the right ones. The check has its own operands, outside the memory pool, and its own random values, so
/// it changes neither the bits of a training nor the plan of its memory.
extension OpenCLBackend {
  /// Checks the plans of all convolutions that some work needs, before it takes memory. Does nothing if ``checks`` is nil.
  /// - Parameters:
  ///   - key: tells this work from other work on this device.
  ///   - work: runs on a backend whose tensors have no memory.
  ///   - onProgress: called with the number of convolutions done and of all. Any error that it throws ends the check.
  /// - Returns: number of convolutions, 0 if the device has computed them all correctly before.
  /// - Throws: ``Failure`` if no kernels for a convolution work; any error that `work` throws.
  @discardableResult
  package func checkConvolutions(
    named key: String, of work: (OpenCLBackend) throws -> Void, onProgress: (Int, Int) throws -> Void = { _, _ in }
  ) throws -> Int {
    guard let checks, deviceExecutor?.onlyBuilds == nil, !checks.contains(key) else { return 0 }
    let list = OpenCLBackend(name, planner, KernelLister(), alignment: alignment, tuning: tuning)
    try work(list)
    let works = list.plansInUse.keys.sorted { ("\($0.work)", "\($0.math)") < ("\($1.work)", "\($1.math)") }
    try checks.savingOnce {
      let misses = checks.misses
      for (done, work) in works.enumerated() {
        try onProgress(done, works.count)
        _ = try plan(for: work.work, work.math)
      }
      try onProgress(works.count, works.count)
      if checks.misses == misses { checks.add(key) }
    }
    return works.count
  }

  /// Returns a description of the error in the result of a convolution that is computed by a choice; nil if it is correct, was
  /// correct before, or cannot be checked.
  /// - Parameter kernels: kernels of the plan, which are built.
  func complaint(
    _ work: PlannedWork, _ choice: ConvolutionChoice?, _ kernels: [KernelSpecialization], on device: DeviceExecutor
  ) throws -> String? {
    guard let checks, device.onlyBuilds == nil else { return nil }
    let key = Checksum.of("\(work.work), \(work.math): \(kernels.map { "\(KernelBuild($0))" })".utf8)
    if checks.contains(key) { return nil }
    let backend = OpenCLBackend(name, planner, device, alignment: alignment)
    backend.fallsBack = false
    backend.choose(choice, for: work)
    let verdict = try device.outsidePool {
      try ConvolutionCheck(work, planner.plan(work, choice), on: backend).verdict()
    }
    switch verdict {
    case .right: checks.add(key)
    case .wrong(let complaint):
      checks.miss()
      return complaint
    case .unknown(let reason):
      checks.miss()
      checks.onUnknown("\(work.work) is not checked: \(reason)")
    }
    return nil
  }
}
