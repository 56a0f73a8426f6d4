import ArgumentParser
import Compute
import Formats
import Foundation
import OpenCL
import OpenCLBackend
import Support

struct DevicesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices", abstract: "List the CPU reference and every OpenCL device.",
    usage: "resnet devices [options]",
    discussion: """
      In other commands, `--device opencl:0.0,opencl:1.0` shares every batch among several devices, and `--device opencl:0.0/2` \
      cuts one device into two equal ones.
      """
        + "\n\n"
        + examples("resnet devices", "resnet devices --json", "resnet train --device opencl:0.0"))

  @Flag(help: "Print a JSON array.")
  var json = false

  func run() throws {
    let entries = try DeviceList.all()
    let best = try DeviceList.best(of: entries)?.selector
    if json {
      printJSON(.array([reference] + (try entries.map { try describe($0, isDefault: $0.selector == best) })))
      return
    }
    print("cpu         CPU reference: plain loops in double precision, for checking")
    for entry in entries {
      let device = entry.device
      let mark = entry.selector == best ? "  (default)" : ""
      print("\(entry.selector)  \(try device.name), \(try device.kind.rawValue)\(mark)")
      print("            driver \(try device.driverVersion), \(try device.version)")
      print(
        "            \(bytes(try device.globalMemory)) of memory, \(try device.computeUnits) compute units, "
          + "\(bytes(try device.localMemory)) of local memory")
      let quirks = try DriverQuirk.all(of: device).map(\.name)
      if !quirks.isEmpty { print("            quirks of the driver: \(quirks.joined(separator: ", "))") }
      if try OpenCLBackend.multipliesPairs(device) { print("            --math fast multiplies pairs of bfloat16") }
    }
    if entries.isEmpty {
      let missing = try DeviceList.missingDevice()
      print("\(missing.problem): \(missing.remedy)")
    }
    if let moved = try DeviceList.movedCache(of: entries.map(\.device)) { print(moved) }
  }

  private var reference: JSON {
    .members([
      "selector": .string("cpu"), "name": .string("CPU reference"), "type": .string("reference"), "driver": .null,
      "memory_bytes": .integer(Int(ProcessInfo.processInfo.physicalMemory)),
      "compute_units": .integer(ProcessInfo.processInfo.activeProcessorCount), "fast_factors": .null, "quirks": .array([]),
      "default": .boolean(false),
    ])
  }

  private func describe(_ entry: DeviceEntry, isDefault: Bool) throws -> JSON {
    let device = entry.device
    return .members([
      "selector": .string(entry.selector), "name": .string(try device.name), "type": .string(try device.kind.rawValue),
      "driver": .string(try device.driverVersion), "memory_bytes": .integer(try device.globalMemory),
      "compute_units": .integer(try device.computeUnits),
      "fast_factors": .string((try OpenCLBackend.multipliesPairs(device) ? DataType.bfloat16 : .float32).rawValue),
      "quirks": .array(try DriverQuirk.all(of: device).map(describe)), "default": .boolean(isDefault),
    ])
  }

  private func describe(_ quirk: DriverQuirk) -> JSON {
    .members(["name": .string(quirk.name), "measure": .string(quirk.measure), "reason": .string(quirk.reason)])
  }
}
