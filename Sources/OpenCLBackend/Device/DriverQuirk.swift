import OpenCL

/// A peculiarity of some drivers that the program allows for. This table is the only place that says which drivers have it.
///
/// Properties of hardware are no quirks: ``DeviceTraits`` has them.
public struct DriverQuirk: Hashable, Sendable {
  /// Name, for example `keeps-kernels`.
  public let name: String
  private let owners: Drivers
  /// Measure that the program takes against it.
  public let measure: String
  /// Reason for the measure.
  public let reason: String

  private init(_ name: String, of owners: Drivers, _ measure: String, because reason: String) {
    (self.name, self.owners, self.measure, self.reason) = (name, owners, measure, reason)
  }

  /// Text that names the drivers.
  public var drivers: String { owners.rawValue }

  /// Returns whether the driver of a device has this quirk.
  public func applies(to device: Device) throws(OpenCLError) -> Bool { try owners.include(device) }

  /// Returns the quirks of a device's driver.
  public static func all(of device: Device) throws(OpenCLError) -> [DriverQuirk] {
    var found: [DriverQuirk] = []
    for quirk in all {
      if try quirk.applies(to: device) { found.append(quirk) }
    }
    return found
  }
}

extension DriverQuirk {
  /// All quirks. The program takes the measures of the last two before it loads any driver.
  public static let all = [
    keepsKernels, prefetches, withholdsMemory, compilerMemory, convertsInRegisters, uncheckedCache, needsCacheFolder, needsLinker,
  ]

  package static let keepsKernels = DriverQuirk(
    "keeps-kernels", of: .pocl, "binaries of programs are not kept in this program's cache",
    because: "it keeps each kernel that it has compiled; asked for a binary, it compiles all other kernels of the file, too")
  static let prefetches = DriverQuirk(
    "prefetches", of: .poclOnCPU, "kernels prefetch what they read next",
    because: "of the compilers for CPUs, only this one is known to build the prefetch and to gain from it")
  static let withholdsMemory = DriverQuirk(
    "withholds-memory", of: .poclOnHost, "a batch that does not fit is refused with advice on how to get more",
    because: "it may offer much less memory than the machine has")
  static let compilerMemory = DriverQuirk(
    "compiler-memory", of: .onHost, "300 MB of memory and 700 MB of address space are left to the driver",
    because: "its compiler works in this process, and takes the memory of which batches are made, too")
  static let convertsInRegisters = DriverQuirk(
    "converts-in-registers", of: .intelGPU, "tiles of float16 count two registers for each sum",
    because: "its compiler needs more registers to convert float16")
  package static let uncheckedCache = DriverQuirk(
    "unchecked-cache", of: .pocl, "a process that has died at its start is noticed, and the damaged cache is named",
    because: "it does not check the files of its own cache, and a damaged one ends the process")
  static let needsCacheFolder = DriverQuirk(
    "needs-cache-folder", of: .pocl, "`POCL_CACHE_DIR` names a folder of this user if the usual one cannot be written",
    because: "it offers no device without a folder for its cache")
  static let needsLinker = DriverQuirk(
    "needs-linker", of: .pocl, "`PATH` is set if it is not",
    because: "its compiler looks there for the linker, and ends the process if it finds none")
}

/// Drivers that share quirks, by the text that names them.
enum Drivers: String {
  case pocl = "PoCL"
  case poclOnCPU = "PoCL, on CPUs"
  case poclOnHost = "PoCL, on devices in the machine's memory"
  case intelGPU = "Intel's, for its GPUs"
  case onHost = "all, on devices in the machine's memory"

  /// Returns whether a device has one of these drivers.
  func include(_ device: Device) throws(OpenCLError) -> Bool {
    let (isPoCL, isOnHost) = (try device.platform.isPoCL, try device.sharesHostMemory)
    let (kind, vendor) = (try device.kind, try device.vendorID)
    return switch self {
    case .pocl: isPoCL
    case .poclOnCPU: isPoCL && kind == .cpu
    case .poclOnHost: isPoCL && isOnHost
    case .intelGPU: kind == .gpu && vendor == Device.intel
    case .onHost: isOnHost
    }
  }
}
