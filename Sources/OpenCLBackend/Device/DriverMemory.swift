import Support

/// Memory of the machine that a driver and its compiler take after a device is opened, besides buffers.
///
/// With PoCL 3.1, a process that trained ResNet-20 and compiled some of its kernels itself took 250 MB besides its buffers, and
/// 590 MB more of address space than when the device was opened, most of which it never used.
enum DriverMemory {
  private static let bytes = 300 << 20
  private static let addressSpace = 700 << 20

  /// Returns the bytes that buffers in the machine's memory may take.
  static func free() -> Int {
    let process = HostMemory.processAvailable().map { $0 - addressSpace } ?? .max
    return max(0, min(HostMemory.available() - bytes, process))
  }

  /// Advice that tells which limit of the process or its control group bounds ``free()``; nil if none does.
  static func advice() -> String? {
    guard let advice = HostMemory.advice() else { return nil }
    let space = HostMemory.processAvailable() ?? .max
    let needed = space - addressSpace < HostMemory.available() - bytes ? addressSpace : bytes
    return "\(advice); the driver needs \(rounded(bytes: needed)) of it"
  }
}
