import CPUBackend
import Compute
import Foundation
import OpenCL
import OpenCLBackend
import Parallel
import Support
import Tuning

/// A place to compute: an OpenCL device, several devices that share every batch, or the CPU reference.
///
/// ```swift
/// let gpu = Device.best                       // the fastest OpenCL device of this machine
/// let two = try Device("opencl:0.0,opencl:1.0")
/// let halves = try Device("opencl:0.0/2")     // one device cut into two
/// ```
///
/// A device is opened when it is given work; nothing is loaded before.
public struct Device: Sendable, CustomStringConvertible {
  package enum Place: Hashable, Sendable {
    case reference
    case openCL([DeviceSelector])
  }

  package let place: Place
  /// The arithmetic of convolutions. The CPU reference knows ``MathMode/exact`` alone.
  public var math = MathMode.exact
  /// The choice of convolution kernels.
  public var tuning = TuningMode.known
  /// Whether each convolution is checked on its first use with a device and its driver. False where all results are compared anyway.
  package var checksConvolutions = true
  /// Callback for notices, a line each: a cache that cannot be written, a kernel that was replaced.
  public var onNotice: @Sendable (Message) -> Void = { _ in }
  /// The hooks of a program that does more than a library may: it starts processes, draws bars and reacts to signals.
  package var hooks = Hooks()

  package struct Hooks: Sendable {
    /// Whether the user has asked to stop.
    package var shouldStop: @Sendable () -> Bool = { false }
    /// Builds kernels ahead of work, in processes of their own; nil to let them be built as they are met.
    package var buildAhead: (@Sendable (Work, KernelTarget, OpenCLBackend) throws -> Void)?
    /// Reports that so many convolutions of so many are checked.
    package var checkProgress: @Sendable (_ done: Int, _ total: Int) -> Void = { _, _ in }
    /// Logs what only those want to know who look closely.
    package var log: @Sendable (String) -> Void = { _ in }
    /// Makes a display of tuning of so many convolutions.
    package var tuningProgress: (@Sendable (Int) -> any TuningProgress)?

    package init() {}
  }

  /// The slow reference on the host's CPU, which every kernel is tested against.
  public static let reference = Device(.reference)

  /// The fastest OpenCL device: a GPU before an accelerator before a CPU, then the most compute units × clock.
  public static let best = Device(.openCL([.best]))

  package init(_ place: Place) { self.place = place }

  /// A device by its name.
  /// - Parameter name: `cpu`, `opencl` for the best device, or `opencl:P.D`; `/N` cuts a device into N equal ones, and commas
  ///   separate several devices.
  /// - Throws: ``Failure`` for another name. Whether there is such a device, opening it tells.
  public init(_ name: String) throws {
    if name == "cpu" {
      self.init(.reference)
      return
    }
    let names = name.split(separator: ",", omittingEmptySubsequences: false)
    if names.contains("cpu") {
      throw Failure(
        .invalidSetting, "\(Setting.device, "'\(name)'"): cpu, the slow reference, shares no work",
        remedy: "leave it out, or name it alone")
    }
    if let unknown = names.first(where: { DeviceSelector($0) == nil }) {
      let place = names.count > 1 ? "'\(unknown)' in '\(name)'" : "'\(unknown)'"
      throw Failure(
        .invalidSetting, "\(Setting.device, place)",
        remedy: "use cpu, opencl, or opencl:P.D as `resnet devices` lists them, with /N for a device cut into N equal ones")
    }
    let selectors = names.compactMap { DeviceSelector($0) }
    let devices = selectors.map(\.device)
    if let (_, twice) = devices.enumerated().first(where: { devices[..<$0.offset].contains($0.element) }) {
      throw Failure(
        .invalidSetting, "\(Setting.device, "'\(name)'") names \(twice) twice", remedy: "name each device once")
    }
    self.init(.openCL(selectors))
  }

  /// The names of this machine's OpenCL devices, each with what its driver calls it.
  /// - Throws: ``Failure`` where the system's OpenCL loader fails.
  public static func all() throws -> [(device: Device, name: String)] {
    try DeviceList.all().map { (try Device($0.selector), try $0.device.name) }
  }

  public var description: String {
    switch place {
    case .reference: "cpu"
    case .openCL(let selectors): selectors.map(\.description).joined(separator: ",")
    }
  }

  /// Whether this is the CPU reference.
  package var isReference: Bool { place == .reference }

  private var selectors: [DeviceSelector] {
    if case .openCL(let selectors) = place { selectors } else { [] }
  }

  /// Whether several devices share the work.
  package var isSeveral: Bool { selectors.count > 1 || selectors.contains { $0.parts > 1 } }

  /// - Throws: ``Failure`` where the device does not store activations like that.
  package func require(_ precision: Precision) throws {
    if precision != .fp32, isReference {
      throw Failure(
        .invalidSetting, "\(Setting.precision, precision.rawValue) needs an OpenCL device, not \(Setting.device, "cpu")")
    }
  }

  // MARK: Opening

  /// The OpenCL devices, in the order in which they were named.
  package func openCLDevices() throws -> [OpenCL.Device] { try DeviceList.find(selectors) }

  /// Opens the device for a program that computes on it by itself.
  /// - Throws: ``Failure`` if there is no such device, or its driver fails.
  public func open() throws -> any Backend { try open(for: nil) }

  /// Opens the device, or several that share every batch.
  /// - Parameters:
  ///   - work: the work, by which kernels are tuned and batches shared out; nil where it is not known in advance.
  ///   - profiling: whether kernels are timed.
  ///   - kernelClass: the class of kernels; nil for the one that suits the device.
  ///   - separateBuffers: gives every tensor a buffer of its own, so that checkers of memory see where it ends.
  ///   - triesDriver: builds a few kernels first on a device that was never used; false where ``prepare(_:for:)`` follows.
  package func open(
    for work: Work?, profiling: Bool = false, kernelClass: KernelClass? = nil, separateBuffers: Bool = false,
    triesDriver: Bool = true
  ) throws -> any Backend {
    if isReference { return CPUBackend() }
    let table = try tuningTable(work.map { work in { try work.convolutions() } })
    return try open(
      sharing: work, table: table, profiling: profiling, kernelClass: kernelClass, separateBuffers: separateBuffers,
      triesDriver: triesDriver)
  }

  /// Opens one device for convolutions that are known, of a network that is none of this project's.
  package func open(for convolutions: [ConvolutionWork: Double]) throws -> any Backend {
    if isReference { return CPUBackend() }
    return try open(sharing: nil, table: try tuningTable { convolutions })
  }

  private func open(
    sharing work: Work?, table: TuningTable?, profiling: Bool = false, kernelClass: KernelClass? = nil,
    separateBuffers: Bool = false, triesDriver: Bool = true
  ) throws -> any Backend {
    let devices = try openCLDevices()
    if hooks.shouldStop() { throw CancellationError() }
    try tellMovedCache(of: devices)
    if triesDriver || isSeveral { try tryDrivers(of: devices) }
    let open = {
      try openOne($0, table: table, profiling: profiling, kernelClass: kernelClass, separateBuffers: separateBuffers)
    }
    if !isSeveral { return try open(devices[0]) }
    let split = try work?.split(devices, open) ?? BatchSplit(devices: devices.count)
    return ParallelBackend(try devices.map(open), split: split)
  }

  /// Warns if PoCL keeps compiled kernels in another place than usual, and names the place.
  package func tellMovedCache(of devices: [OpenCL.Device]) throws {
    if let moved = try DeviceList.movedCache(of: devices) { onNotice("warning: \(moved)") }
  }

  /// Opens one device; nothing is built yet.
  package func openOne(
    _ device: OpenCL.Device, table: TuningTable? = nil, profiling: Bool = false, kernelClass: KernelClass? = nil,
    separateBuffers: Bool = false
  ) throws -> OpenCLBackend {
    let cache = try cache(of: device)
    let backend = try OpenCLBackend(
      device: device, math: math, kernelClass: kernelClass, separateBuffers: separateBuffers, profiling: profiling,
      tuning: table ?? cache?.loadTable() ?? TuningTable(), programs: cache)
    backend.onFallback = { onNotice("warning: \($0); \($0.advice)") }
    if checksConvolutions { backend.checks = CheckedPlans(cache, onUnknown: hooks.log) }
    return backend
  }

  /// The user's cache for a device; nil where the user has no home.
  package func cache(of device: OpenCL.Device) throws -> DeviceCache? {
    try DeviceCache.userFolder(ProcessInfo.processInfo.environment).map {
      try DeviceCache($0, device: device) { onNotice("warning: \($0)") }
    }
  }
}

/// A device on which kernels are built ahead.
package struct KernelTarget {
  package let device: OpenCL.Device
  /// Name of the device, for example `opencl:0.0`.
  package let selector: String
  package let math: MathMode
  /// Whether the work follows what the tuner has found.
  package let isTuned: Bool
  package let cache: DeviceCache?
}

extension Device {
  /// Builds the kernels of one device's work ahead of it, and checks the convolutions that this device has not computed before.
  /// - Throws: ``Failure`` where the driver ends the process that builds, or where a convolution is wrong whatever computes it;
  ///   what the hook throws after a signal.
  package func prepare(_ work: Work, for backend: any Backend) throws {
    guard let backend = backend as? OpenCLBackend else { return }
    if let build = hooks.buildAhead {
      let device = try openCLDevices()[0]
      try build(work, try target(device, selectors[0], isTuned: tuning != .off), backend)
    }
    let start = ContinuousClock.now
    let count = try backend.checkConvolutions(
      named: try work.key(on: backend), of: { try work.rehearse(on: $0) },
      onProgress: { done, total in
        if hooks.shouldStop() { throw CancellationError() }
        hooks.checkProgress(done, total)
      })
    if count > 0 {
      let milliseconds = Int(((ContinuousClock.now - start).seconds * 1000).rounded())
      hooks.log("checked \(count) convolutions in \(milliseconds) ms")
    }
  }

  /// Tries devices that were never used with a few kernels.
  /// - Parameter devices: those of ``openCLDevices()``.
  package func tryDrivers(of devices: [OpenCL.Device]) throws {
    guard let build = hooks.buildAhead else { return }
    // A device that is cut has several places in the list.
    let names = selectors.flatMap { [DeviceSelector](repeating: $0, count: $0.parts) }
    for (device, selector) in zip(devices, names) {
      let target = try target(device, selector, isTuned: false)
      guard let cache = target.cache, cache.knownKernels().isEmpty else { continue }
      try build(.sample, target, try openOne(device, table: TuningTable()))
    }
  }

  private func target(_ device: OpenCL.Device, _ selector: DeviceSelector, isTuned: Bool) throws -> KernelTarget {
    KernelTarget(
      device: device, selector: selector.device, math: math, isTuned: isTuned, cache: try cache(of: device))
  }
}
