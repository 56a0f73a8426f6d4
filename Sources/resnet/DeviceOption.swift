import ArgumentParser
import CPUBackend
import Compute
import OpenCL
import OpenCLBackend
import Parallel
import Support

extension Precision: ExpressibleByArgument {}
extension MathMode: ExpressibleByArgument {}

/// Option `--precision`, for every command that runs a network.
struct PrecisionOption: ParsableArguments {
  @Option(
    help: """
      Storage type of activations, and in training of their gradients: fp32, fp16 or bf16. Weights, sums and statistics are \
      always float32. \
      Default: fp32.
      """)
  var precision: Precision?

  /// Checks that the device supports the precision.
  /// - Throws: a usage error if the device stores float32 only.
  func validate(_ device: DeviceOption) throws { try usage { try device.require(precision) } }
}

/// Option `--device`, and the only place where a backend is chosen.
struct DeviceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Device: cpu (the slow reference), opencl (the best device) or opencl:P.D. Several devices, separated by commas, share \
      every batch; /N cuts a device into N equal ones.
      """, valueName: "cpu|opencl|opencl:P.D[/N][,…]"))
  var device = "opencl"

  @Option(
    help: """
      exact multiplies in float32; fast lets convolutions round their operands to the type of the device's matrix instructions. \
      Default: exact.
      """)
  var math: MathMode?

  func validate() throws {
    if let math, math == .fast, isReference { throw ValidationError("--math fast needs an OpenCL device, not --device cpu") }
    if isReference { return }
    let names = device.split(separator: ",", omittingEmptySubsequences: false)
    if names.contains("cpu") {
      throw ValidationError("--device '\(device)': cpu, the slow reference, shares no work: leave it out, or name it alone")
    }
    if let name = names.first(where: { DeviceSelector($0) == nil }) {
      let place = names.count > 1 ? "'\(name)' in '\(device)'" : "'\(name)'"
      throw ValidationError(
        "--device \(place): use cpu, opencl, or opencl:P.D as `resnet devices` lists them, with /N for a device cut into N equal ones"
      )
    }
    let devices = selectors.map(\.device)
    if let (_, name) = devices.enumerated().first(where: { devices[..<$0.offset].contains($0.element) }) {
      throw ValidationError("--device '\(device)' names \(name) twice: name each device once")
    }
  }

  /// Checks that the device supports a precision.
  /// - Throws: ``Failure`` if it cannot store activations in this precision.
  func require(_ precision: Precision?) throws {
    if let precision, precision != .fp32, isReference {
      throw Failure(
        .invalidSetting,
        "\(Setting.precision, precision.rawValue) needs an OpenCL device, not \(Setting.device, "cpu")")
    }
  }

  /// Whether the device is the CPU reference.
  var isReference: Bool { device == "cpu" }

  private var selectors: [DeviceSelector] { device.split(separator: ",").compactMap { DeviceSelector($0) } }

  /// Whether several devices share the work.
  var isSeveral: Bool { !isReference && (selectors.count > 1 || selectors.contains { $0.parts > 1 }) }

  /// Checks that kernels can be timed.
  /// - Throws: a usage error if they cannot.
  func requireProfile() throws {
    if isReference { throw ValidationError("--profile needs an OpenCL device, not --device \(device)") }
    try requireOne("--profile shows one device")
  }

  /// Checks that one device is named.
  /// - Parameter why: beginning of the message, which says what is limited to one device.
  /// - Throws: a usage error for several devices.
  func requireOne(_ why: String) throws {
    if isSeveral { throw ValidationError("\(why), not several: --device \(device)") }
  }

  /// Returns the OpenCL devices in the order in which they were named.
  func openCLDevices() throws -> [Device] { try DeviceList.find(selectors) }

  /// Warns if PoCL keeps compiled kernels in another place than usual, and names the place.
  func tellMovedCache(of devices: [Device]) throws {
    if let moved = try DeviceList.movedCache(of: devices) { printError("warning: \(moved)") }
  }

  /// Opens the device, or several devices that share every batch.
  /// - Parameters:
  ///   - table: choices of the tuner; nil for those in the user's cache.
  ///   - sharing: way in which several devices share a batch; nil for equal shares.
  ///   - kernelClass: class of the kernels; nil for the one that suits the device.
  ///   - separateBuffers: whether every tensor gets a buffer of its own, so that memory checkers see where it ends.
  ///   - buildsSample: whether a device that was never used is first tried with a few kernels; false if
  ///     ``buildKernels(of:for:isTuned:)`` follows.
  func backend(
    profiling: Bool = false, table: TuningTable? = nil, sharing: Sharing? = nil, kernelClass: KernelClass? = nil,
    separateBuffers: Bool = false, buildsSample: Bool = true
  ) throws -> any Backend {
    if isReference { return CPUBackend() }
    let devices = try openCLDevices()
    try tellMovedCache(of: devices)
    if buildsSample || isSeveral { try buildSample(on: devices) }
    let open = {
      try openCLBackend(
        $0, table: table, profiling: profiling, kernelClass: kernelClass, separateBuffers: separateBuffers)
    }
    if !isSeveral { return try open(devices[0]) }
    let split = try sharing?.split(devices, open) ?? BatchSplit(devices: devices.count)
    return ParallelBackend(try devices.map(open), split: split)
  }

  /// Tries a few kernels, in processes of their own, on devices that were never used.
  /// - Parameter devices: devices from ``openCLDevices()``.
  /// - Throws: ``Failure`` if a driver ends such a process; an exit code after a signal.
  func buildSample(on devices: [Device]) throws {
    // A device that is cut into parts is in the list several times.
    let names = selectors.flatMap { [DeviceSelector](repeating: $0, count: $0.parts) }
    for (device, selector) in zip(devices, names) {
      guard let cache = try userCache(of: device), cache.knownKernels().isEmpty else { continue }
      try builder(device, selector, cache, isTuned: false).build(.sample, for: openCLBackend(device, table: TuningTable()))
    }
  }

  /// Opens one device, without building anything yet.
  func openCLBackend(
    _ device: Device, table: TuningTable? = nil, profiling: Bool = false, kernelClass: KernelClass? = nil,
    separateBuffers: Bool = false
  ) throws -> OpenCLBackend {
    let cache = try userCache(of: device)
    let backend = try OpenCLBackend(
      device: device, math: math ?? .exact, kernelClass: kernelClass, separateBuffers: separateBuffers, profiling: profiling,
      tuning: table ?? cache?.loadTable() ?? TuningTable(), programs: cache)
    backend.onFallback = { printError("warning: \($0); `resnet verify` shows what its compiler says") }
    return backend
  }

  /// Builds the kernels of one device's work before the work begins, in processes of their own.
  /// - Parameter isTuned: whether the work uses the results of the tuner.
  /// - Throws: ``Failure`` if the driver ends such a process; an exit code after a signal.
  func buildKernels(of job: KernelJob, for backend: any Backend, isTuned: Bool) throws {
    guard let backend = backend as? OpenCLBackend else { return }
    let device = try openCLDevices()[0]
    try builder(device, selectors[0], try userCache(of: device), isTuned: isTuned).build(job, for: backend)
  }

  private func builder(_ device: Device, _ selector: DeviceSelector, _ cache: DeviceCache?, isTuned: Bool) -> KernelBuilder {
    KernelBuilder(device: device, selector: selector.device, math: math ?? .exact, isTuned: isTuned, cache: cache)
  }

  /// Describes the effect of fast mathematics on these devices, for a run's header; nil if it was not asked for.
  func describeMath(on backend: any Backend, _ precision: Precision) -> String? {
    guard math == .fast else { return nil }
    let devices = ((backend as? ParallelBackend)?.devices ?? [backend]).compactMap { $0 as? OpenCLBackend }
    let exponents = Set(devices.map { $0.factorType(storing: precision.storage(on: $0)).roundoff.exponent }).sorted()
    if exponents == [DataType.float32.roundoff.exponent] {
      return "--math fast: no matrix instructions were found on this device, so the factors of convolutions stay float32"
    }
    let bits = exponents.map { String(-$0) }.joined(separator: " or ")
    return "--math fast: the factors of convolutions have \(bits) significant bits"
  }
}
