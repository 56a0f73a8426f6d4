import ArgumentParser
import CPUBackend
import Compute
import OpenCL
import OpenCLBackend
import Parallel

/// `--device`, and the one place where a backend is chosen.
struct DeviceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Where to run: cpu (the slow reference), opencl (the best device) or opencl:P.D. Several, separated by commas, share every \
      batch; /N cuts a device into N equal ones.
      """, valueName: "cpu|opencl|opencl:P.D[/N][,…]"))
  var device = "opencl"

  func validate() throws {
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

  /// Whether this is the CPU reference.
  var isReference: Bool { device == "cpu" }

  private var selectors: [DeviceSelector] { device.split(separator: ",").compactMap { DeviceSelector($0) } }

  /// Whether several devices share the work.
  var isSeveral: Bool { !isReference && (selectors.count > 1 || selectors.contains { $0.parts > 1 }) }

  /// - Throws: a usage error where kernels cannot be timed.
  func requireProfile() throws {
    if isReference { throw ValidationError("--profile needs an OpenCL device, not --device \(device)") }
    try requireOne("--profile shows one device")
  }

  /// - Parameter why: what is about one device.
  /// - Throws: a usage error for several.
  func requireOne(_ why: String) throws {
    if isSeveral { throw ValidationError("\(why), not several: --device \(device)") }
  }

  /// The OpenCL devices, in the order in which they were named.
  func openCLDevices() throws -> [Device] { try DeviceList.find(selectors) }

  /// Opens the device, or several that share every batch.
  /// - Parameters:
  ///   - table: what the tuner has chosen; nil for what the user's cache knows.
  ///   - sharing: how several devices share a batch; nil for equal shares.
  func backend(profiling: Bool = false, table: TuningTable? = nil, sharing: Sharing? = nil) throws -> any Backend {
    if isReference { return CPUBackend() }
    let open = { (device: Device) in
      let cache = try userCache(of: device)
      return try OpenCLBackend(
        device: device, profiling: profiling, tuning: table ?? cache?.loadTable() ?? TuningTable(), programs: cache)
    }
    let devices = try openCLDevices()
    if !isSeveral { return try open(devices[0]) }
    let split = try sharing?.split(devices, open) ?? BatchSplit(devices: devices.count)
    return ParallelBackend(try devices.map(open), split: split)
  }
}
