import Compute
import Glibc
import OpenCL
import Support

/// Memory of the machine that PoCL, whose devices are the machine's own processors, does not offer.
package enum WithheldMemory {
  /// Returns advice that makes PoCL offer more memory; nil if PoCL does not set the limit, and for other drivers.
  static func advice(_ device: Device) throws(OpenCLError) -> String? {
    let offered = try device.globalMemory
    guard try DriverQuirk.withholdsMemory.applies(to: device), offered < HostMemory.available(),
      let machine = HostMemory.total()
    else { return nil }
    return advice(
      offered: offered, machine: machine, units: try device.computeUnits * device.partsOfWhole,
      limit: getenv("POCL_MEMORY_LIMIT").flatMap { Int(String(cString: $0)) })
  }

  /// - Parameters:
  ///   - offered: bytes of the device's memory, as PoCL reports them.
  ///   - machine: bytes of the machine's memory.
  ///   - units: number of the machine's processors.
  ///   - limit: value of `POCL_MEMORY_LIMIT`, in units of 2^30 bytes; nil if it is not set.
  package static func advice(offered: Int, machine: Int, units: Int, limit: Int?) -> String? {
    // PoCL leaves 2^31 bytes to other programs, or a quarter of the memory on machines with less than 7 · 2^30.
    let usual = machine > 7 << 30 ? machine - 1 << 31 : machine / 4 * 3
    guard offered < usual / 20 * 19 else { return nil }
    let begin = "PoCL offers \(rounded(bytes: offered)) of this machine's \(rounded(bytes: machine))"
    if let limit, limit > 0, offered == limit << 30 {
      return "\(begin), as POCL_MEMORY_LIMIT=\(limit) says: raise it, or unset it"
    }
    // PoCL asks hwloc, which detects too little memory on some virtual machines. An environment variable tells hwloc about the
    // rest.
    return "\(begin): set HWLOC_SYNTHETIC='[numa(memory=\(machine / 1_000_000_000)GB)] pu:\(units)' to let it know of all"
  }
}
