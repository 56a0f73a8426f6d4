import ArgumentParser
import CPUBackend
import Compute
import OpenCLBackend

/// `--device`, and the one place where a backend is chosen.
struct DeviceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where to run: cpu (the slow reference), opencl (the best device) or opencl:P.D.", valueName: "cpu|opencl|opencl:P.D"))
  var device = "opencl"

  func validate() throws {
    if isReference || device == "opencl" { return }
    let parts = device.hasPrefix("opencl:") ? device.dropFirst(7).split(separator: ".", omittingEmptySubsequences: false) : []
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(\.isNumber) }) else {
      throw ValidationError("--device '\(device)': use cpu, opencl, or opencl:P.D as `resnet devices` lists them")
    }
  }

  /// Whether this is the CPU reference.
  var isReference: Bool { device == "cpu" }

  /// - Throws: a usage error where kernels cannot be timed.
  func requireProfile() throws {
    if isReference { throw ValidationError("--profile needs an OpenCL device, not --device \(device)") }
  }

  /// Opens the device, with what the user's cache knows about it.
  func backend(profiling: Bool = false) throws -> any Backend {
    if isReference { return CPUBackend() }
    let device = try DeviceList.find(device).device
    let cache = try userCache(of: device)
    return try OpenCLBackend(device: device, profiling: profiling, tuning: cache?.loadTable() ?? TuningTable(), programs: cache)
  }
}
