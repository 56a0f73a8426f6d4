import Compute
import Kernels
import OpenCL

extension OpenCLBackend {
  /// What the factors of convolutions are rounded to where activations are stored as `storage`, except where channels do not fill
  /// vectors. tf32 counts as float16, which has as many bits.
  public func factorType(_ storage: DataType) -> DataType {
    switch traits.kernelClass {
    case .registerTiled: return traits.terms(width: traits.vectorWidth) == 1 ? .float32 : .bfloat16
    case .localTiled:
      if traits.math == .exact || traits.matrixInstructions == .none { return .float32 }
      return storage == .float32 ? .float16 : storage
    }
  }

  /// Whether fast mathematics multiplies pairs of bfloat16 on a device: its processor has AVX512-BF16, and its compiler builds kernels
  /// that use it and come to the right sum.
  /// - Throws: an `OpenCLError` if the driver cannot make a context or a queue.
  public static func multipliesPairs(_ device: Device) throws -> Bool {
    try DeviceTraits(device).multipliesPairs && multipliesPairs(device, kernels: nil)
  }

  /// Tries it, on a backend of its own, so that nothing of it shows in another's memory. Only for processors that have the instruction:
  /// on another one it would end the program.
  static func multipliesPairs(_ device: Device, kernels: String?) throws -> Bool {
    let backend = try OpenCLBackend(device: device, traits: DeviceTraits(device), kernels: kernels)
    let sums = try backend.tensor([16])
    do {
      try backend.launch(
        Specialisation(.peak, "multiply_add", ["VW": 16, "SUMS": 1, "PAIRS": 1]), global: [1], groupsOfOne: true,
        [.buffer(sums.buffer), .int(3), .float(1.5), .float(0.25)])
    } catch {
      // A compiler without that instruction.
      return false
    }
    return try backend.download(sums).floats == [Float](repeating: 3 * 2 * 1.5 * 0.25, count: 16)
  }
}
