import Compute
import OpenCL

extension OpenCLBackend {
  /// Returns the type to which the factors of convolutions may be rounded if activations are stored as `storage`. Float16 stands
  /// for tf32, which has the same number of digits.
  public func factorType(storing storage: DataType) -> DataType {
    if traits.terms(width: traits.vectorWidth) > 1 { return .bfloat16 }
    guard traits.math == .fast, traits.kernelClass == .localTiled, traits.matrixInstructions != .none else { return .float32 }
    return storage == .float32 ? .float16 : storage
  }

  /// Returns whether fast mathematics multiplies pairs of bfloat16 on a device: its processor has AVX512-BF16, and its compiler
  /// builds kernels that use it and compute the correct sum.
  /// - Throws: an `OpenCLError` if the driver cannot create a context or a queue.
  public static func multipliesPairs(_ device: Device) throws -> Bool {
    try DeviceTraits(device).multipliesPairs && multipliesPairs(device, kernels: nil)
  }

  /// Tries this on a separate backend, so that the probe does not show in another backend's memory. It is only for processors
  /// that have the instruction; on another one it would end the program.
  static func multipliesPairs(_ device: Device, kernels: String?) throws -> Bool {
    let backend = try OpenCLBackend(device: device, traits: DeviceTraits(device), kernels: kernels)
    let sums = try backend.tensor([16])
    do {
      try backend.launch(
        KernelLaunch(KernelSpecialization("peak.cl", "multiply_add", ["VW": 16, "SUMS": 1, "PAIRS": 1]), groupsOfOne: [1]),
        [.buffer(sums.buffer), .int(3), .float(1.5), .float(0.25)])
    } catch {
      // The compiler does not have that instruction.
      return false
    }
    return try backend.download(sums).floats == [Float](repeating: 3 * 2 * 1.5 * 0.25, count: 16)
  }
}
