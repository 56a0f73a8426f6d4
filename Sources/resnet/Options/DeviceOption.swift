import ArgumentParser
import Compute
import OpenCLBackend
import Parallel
import ResNetKit
import Support
import Synchronization

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
      """, valueName: "cpu|opencl|opencl:P.D[/N][,…]"),
    completion: .devices)
  var device = "opencl"

  @Option(
    help: """
      exact multiplies in float32; fast lets convolutions round their operands to the type of the device's matrix instructions. \
      Default: exact.
      """)
  var math: MathMode?

  func validate() throws {
    if let answer = ForeignNames.device(device) { throw ValidationError(answer) }
    if math == .fast, isReference { throw ValidationError("--math fast needs an OpenCL device, not --device cpu") }
    try usage { _ = try place() }
  }

  /// The device that the options name.
  /// - Parameter tuning: choice of convolution kernels.
  func place(_ tuning: TuningMode = .known) throws -> ResNetKit.Device {
    var place = try ResNetKit.Device(device)
    place.math = math ?? .exact
    place.tuning = tuning
    place.onNotice = Notices.print
    place.hooks = .commandLine
    return place
  }

  /// Checks that the device supports a precision.
  /// - Throws: ``Failure`` if it cannot store activations in this precision.
  func require(_ precision: Precision?) throws { try place().require(precision ?? .fp32) }

  /// Whether the device is the CPU reference.
  var isReference: Bool { device == "cpu" }

  /// Whether several devices share the work.
  var isSeveral: Bool { (try? place())?.isSeveral ?? false }

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

extension ResNetKit.Device.Hooks {
  /// Builds kernels in processes of their own, shows progress on standard error, and stops at signals.
  static let commandLine: ResNetKit.Device.Hooks = {
    var hooks = ResNetKit.Device.Hooks()
    hooks.shouldStop = { Signals.pending != nil }
    hooks.buildAhead = { work, target, backend in try KernelBuilder(target: target).build(work, for: backend) }
    hooks.tuningProgress = { TuningReport(total: $0) }
    hooks.checkProgress = { done, total in
      if done < total { Display.shared.advance(.checking, to: done, of: total) } else { Display.shared.begin(.preparing) }
    }
    hooks.log = { Log.debug($0) }
    return hooks
  }()
}

/// Notices about devices on standard error. Each is printed once, because a command opens its cache several times.
private enum Notices {
  private static let seen = Mutex<Set<String>>([])

  @Sendable static func print(_ notice: Message) {
    let line = notice.line
    if seen.withLock({ $0.insert(line).inserted }) { printError(line) }
  }
}

extension ParallelBackend {
  /// Returns the number of images for each device.
  func shares(ofBatch images: Int) -> [Int] { split.shares(of: images).map(\.count) }

  /// Describes the split, for example `each batch of 128 shared: 64 + 64 images`.
  func describeSplit(ofBatch images: Int) -> String {
    "each batch of \(images) shared: " + shares(ofBatch: images).map(String.init).joined(separator: " + ") + " images"
  }
}
