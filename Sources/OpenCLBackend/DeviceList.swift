import Compute
import OpenCL

/// An OpenCL device by its place: `opencl:PLATFORM.DEVICE`.
public struct DeviceEntry: Sendable {
  public let platform: Int
  public let index: Int
  public let device: Device

  /// For example `opencl:0.0`.
  public var selector: String { "opencl:\(platform).\(index)" }
}

/// The OpenCL devices of this machine.
public enum DeviceList {
  /// Every device of every platform that is available and has a compiler. A broken driver's devices count as not available.
  public static func all() throws -> [DeviceEntry] {
    try Platform.all().enumerated().flatMap { number, platform -> [DeviceEntry] in
      guard let devices = try? platform.devices() else { return [] }
      return devices.enumerated().compactMap { index, device in
        (try? device.isAvailable) == true ? DeviceEntry(platform: number, index: index, device: device) : nil
      }
    }
  }

  /// The device that `opencl` alone means: a GPU before an accelerator before a CPU, then the most compute units × clock.
  public static func best(of entries: [DeviceEntry]) throws -> DeviceEntry? {
    let ranked = try entries.map { entry in
      let rank =
        switch try entry.device.kind {
        case .gpu: 3
        case .accelerator: 2
        case .cpu: 1
        case .other: 0
        }
      return (entry: entry, rank: rank, speed: try entry.device.computeUnits * max(1, entry.device.clockFrequency))
    }
    // The first of equals, so that the choice does not change from run to run.
    return ranked.enumerated().max {
      ($0.element.rank, $0.element.speed, -$0.offset) < ($1.element.rank, $1.element.speed, -$1.offset)
    }?
    .element.entry
  }

  /// The device that a selector names: `opencl` or `opencl:P.D`.
  public static func find(_ selector: String) throws -> DeviceEntry {
    let entries = try all()
    guard let best = try best(of: entries) else {
      throw Failure(
        "no OpenCL device on this machine: install a driver (Debian: pocl-opencl-icd runs on any CPU, mesa-opencl-icd, "
          + "intel-opencl-icd or the vendor's for a GPU), or use --device cpu")
    }
    if selector == "opencl" { return best }
    guard let entry = entries.first(where: { $0.selector == selector }) else {
      let known = entries.map(\.selector).joined(separator: ", ")
      throw Failure("no OpenCL device '\(selector)': this machine has \(known); `resnet devices` describes them")
    }
    return entry
  }
}
