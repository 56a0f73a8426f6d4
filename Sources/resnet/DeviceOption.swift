import ArgumentParser
import CPUBackend
import Compute
import OpenCLBackend

extension Precision: ExpressibleByArgument {}
extension MathMode: ExpressibleByArgument {}

/// `--precision`, of every command that runs a network.
struct PrecisionOption: ParsableArguments {
  @Option(
    help: """
      How activations and their gradients are stored: fp32, fp16 or bf16. Weights, sums and statistics are float32 always. \
      Default: fp32.
      """)
  var precision: Precision?

  /// - Throws: a usage error where the device keeps float32 only.
  func validate(_ device: DeviceOption) throws {
    if let precision, precision != .fp32, device.isReference {
      throw ValidationError("--precision \(precision.rawValue) needs an OpenCL device, not --device cpu")
    }
  }
}

/// `--device`, and the one place where a backend is chosen.
struct DeviceOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where to run: cpu (the slow reference), opencl (the best device) or opencl:P.D.", valueName: "cpu|opencl|opencl:P.D"))
  var device = "opencl"

  @Option(
    help: """
      exact multiplies in float32; fast lets convolutions round their factors to what the device's matrix instructions take. \
      Default: exact.
      """)
  var math: MathMode?

  func validate() throws {
    if let math, math == .fast, isReference { throw ValidationError("--math fast needs an OpenCL device, not --device cpu") }
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
    return try OpenCLBackend(
      device: device, math: math ?? .exact, profiling: profiling, tuning: cache?.loadTable() ?? TuningTable(), programs: cache)
  }
}
