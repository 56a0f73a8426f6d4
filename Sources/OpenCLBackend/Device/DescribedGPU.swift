import Compute

/// A GPU as its driver would describe it, for plans on machines that have none. The names are those that the vendors' compilers
/// use.
package enum DescribedGPU: String, CaseIterable, Sendable {
  /// Intel Arc A770, and the integrated GPU of Tiger Lake.
  case dg2, tgllp
  /// AMD Radeon RX 7900 XTX, and Instinct MI250.
  case gfx1100, gfx90a
  /// NVIDIA A100 and H100.
  case sm80 = "sm_80"
  case sm90 = "sm_90"

  package var traits: DeviceTraits {
    let (units, group, local) =
      switch self {
      case .dg2: (512, 1024, 64)
      case .tgllp: (96, 512, 64)
      case .gfx1100: (48, 256, 64)
      case .gfx90a: (104, 256, 64)
      case .sm80: (108, 1024, 48)
      case .sm90: (132, 1024, 48)
      }
    let isNVIDIA = self == .sm80 || self == .sm90
    return DeviceTraits(
      isCPU: false, matrixInstructions: isNVIDIA ? .ptx : .none, computeUnits: units, largestGroup: group,
      localMemory: local << 10, largestBuffer: 4 << 30, nativeWidth: 1, isIntelGPU: self == .dg2 || self == .tgllp)
  }
}
