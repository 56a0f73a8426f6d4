import OpenCL
import OpenCLBackend
import Testing

/// Helpers for tests of fast mathematics.
enum FastMathematics {
  static let comment: Comment = "the best OpenCL device does not multiply pairs of bfloat16 (a CPU with AVX512-BF16 does)"

  static var isThere: Bool { get throws { try OpenCLBackend.multipliesPairs(DeviceList.find("opencl").device) } }

  /// - Parameter width: number of floats in a vector, 16 or 8.
  static func backend(width: Int = 16, profiling: Bool = false) throws -> OpenCLBackend {
    let device = try DeviceList.find("opencl").device
    var traits = try DeviceTraits(device)
    (traits.math, traits.vectorWidth) = (.fast, width)
    return try OpenCLBackend(device: device, profiling: profiling, traits: traits)
  }
}
