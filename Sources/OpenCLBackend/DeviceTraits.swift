import Compute
import OpenCL

/// The two shapes of kernel for the two shapes of machine.
package enum KernelClass: String, CaseIterable, Sendable {
  /// A work-item alone owns a tile of wide vectors in registers: CPUs.
  case registerTiled = "register"
  /// A work-group shares tiles in local memory: GPUs.
  case localTiled = "local"
}

/// How exact the factors of a convolution must be.
public enum MathMode: String, CaseIterable, Sendable {
  /// They are float32.
  case exact
  /// They may be rounded to what the device's matrix instructions take; sums stay float32.
  case fast
}

/// How a device multiplies small matrices in one instruction of a warp (`matrix_instructions.h`).
package enum MatrixInstructions: Sendable {
  case none
  /// NVIDIA's, from compute capability 8.0 on, as PTX.
  case ptx
  /// The same in plain C, for tests: slow.
  case emulated
}

/// What kernels are fitted to, asked of the device once.
package struct DeviceTraits {
  package var isCPU: Bool
  /// Which kernels serve.
  package var kernelClass: KernelClass
  package var math = MathMode.exact
  /// What ``MathMode/fast`` may use.
  package var matrixInstructions: MatrixInstructions
  /// The same for CPUs: whether the device multiplies pairs of bfloat16 (`factors.h`). So the processor says; a backend for fast
  /// mathematics tries it.
  package var multipliesPairs: Bool
  package var computeUnits: Int
  /// Work-items that a work-group may have.
  package var largestGroup: Int
  /// What a kernel, once built, may have of these, where that is less than the driver says: for tests.
  package var groupLimit = Int.max
  /// Registers that a work-item of a tiled product may take, by the estimate of `TiledPlan.Tile.registers`, before it spills. Intel's
  /// GPUs have 128 in all, others twice that.
  package var tileRegisters: Int
  /// Registers that a sum takes, by the same estimate, where activations are float16: Intel's compiler needs more to convert them.
  package var halfSumRegisters: Int
  /// Bytes of local memory of a work-group.
  package var localMemory: Int
  /// Bytes of the largest buffer.
  let largestBuffer: Int
  /// The widest vector of floats worth using: what the hardware has on CPUs, 4 where it reports scalars (GPUs), at most 16.
  package var vectorWidth: Int
  /// Vectors of that width that a tile may keep in registers: 32 with AVX-512, less four for operands; 16 elsewhere.
  package var accumulators: Int
  /// Work-items of equal size that keep every compute unit busy to the end.
  package var wantedItems: Int

  /// The side of the tiles of Winograd's convolution: 2 is as exact as the direct sum; 4 is faster and three times less exact.
  package var winogradSide = 4
  /// The same for the forward pass of training. There a rounding error may turn an input of ReLU from one side of zero to the other,
  /// and the gradient with it; in gradients and in inference it stays as small as it is.
  package var forwardWinogradSide = 2

  /// What the tuner has chosen for the convolution at hand; nil for the built-in choice.
  package var choice: ConvolutionChoice?

  /// - Parameter kernelClass: which kernels serve; nil for those that suit the device.
  package init(_ device: Device, kernelClass: KernelClass? = nil) throws(OpenCLError) {
    let (kind, vendor) = (try device.kind, try device.vendorID)
    self.init(
      isCPU: kind == .cpu, kernelClass,
      matrixInstructions: try device.computeCapability.map { $0.major >= 8 } == true ? .ptx : .none,
      computeUnits: max(1, try device.computeUnits), largestGroup: try device.maxWorkGroupSize,
      localMemory: try device.localMemory, largestBuffer: try device.maxAllocation, nativeWidth: try device.nativeVectorWidth,
      isIntelGPU: kind == .gpu && vendor == Device.intel)
  }

  /// - Parameter nativeWidth: floats in the widest vector of the hardware.
  init(
    isCPU: Bool, _ kernelClass: KernelClass? = nil, matrixInstructions: MatrixInstructions, computeUnits: Int, largestGroup: Int,
    localMemory: Int, largestBuffer: Int, nativeWidth: Int, isIntelGPU: Bool = false
  ) {
    tileRegisters = isIntelGPU ? 72 : 120
    halfSumRegisters = isIntelGPU ? 2 : 1
    (self.isCPU, self.matrixInstructions, self.computeUnits) = (isCPU, matrixInstructions, computeUnits)
    (self.largestGroup, self.localMemory, self.largestBuffer) = (largestGroup, localMemory, largestBuffer)
    self.kernelClass = kernelClass ?? (isCPU ? .registerTiled : .localTiled)
    // A CPU that tries a GPU's kernels takes a GPU's vectors too.
    let native = isCPU && self.kernelClass == .localTiled ? 1 : nativeWidth
    vectorWidth = native >= 16 ? 16 : native >= 8 ? 8 : 4
    accumulators = vectorWidth == 16 ? 28 : 12
    multipliesPairs = isCPU && vectorWidth == 16 && HostProcessor.has("avx512_bf16")
    wantedItems = computeUnits * (self.kernelClass == .registerTiled ? 8 : 512)
  }

  /// Terms in a factor of register-tiled convolutions with vectors of that width: 2 where factors are pairs of bfloat16.
  func terms(width: Int) -> Int { math == .fast && multipliesPairs && kernelClass == .registerTiled && width >= 8 ? 2 : 1 }

  /// Work-items of a work-group that reduces, a power of two. More would leave a GPU's scheduler less to choose from.
  var workGroupSize: Int { min(256, largestGroup).powerOfTwo }

  /// The widest vector that divides `count`.
  func vectorWidth(dividing count: Int) -> Int {
    var width = vectorWidth
    while count % width != 0 { width /= 2 }
    return width
  }
}
