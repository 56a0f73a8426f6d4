import Compute
import OpenCL
import Support

/// Class of kernels; there is one for each of two kinds of machine.
package enum KernelClass: String, CaseIterable, Sendable {
  /// Register-tiled: a work-item alone owns a tile of wide vectors in registers. For CPUs.
  case registerTiled = "register"
  /// Local-tiled: a work-group shares tiles in local memory. For GPUs.
  case localTiled = "local"
}

/// Matrix instructions with which a warp of the device multiplies small matrices (`matrix_instructions.h`).
package enum MatrixInstructions: Sendable {
  case none
  /// NVIDIA's instructions as PTX, from compute capability 8.0 on.
  case ptx
  /// Emulation of these instructions in plain C, for tests: slow.
  case emulated
}

/// Properties of a device to which kernels are fitted, queried once.
package struct DeviceTraits {
  package var isCPU: Bool
  /// Class of the kernels to use.
  package var kernelClass: KernelClass
  package var math = MathMode.exact
  /// Matrix instructions that ``MathMode/fast`` may use.
  package var matrixInstructions: MatrixInstructions
  /// Whether the CPU reports AVX512-BF16, with which ``MathMode/fast`` multiplies pairs of bfloat16 (`factors.h`). A backend for
  /// fast mathematics verifies it with a probe kernel before use.
  package var multipliesPairs: Bool
  package var computeUnits: Int
  /// Largest work-group size.
  package var largestGroup: Int
  /// Test hook: caps the work-group size reported for compiled kernels.
  package var groupLimit = Int.max
  /// Registers that a work-item of a tiled product may take before it spills, by the estimate of `GEMMTiling.Tile.registers`.
  /// Intel's GPUs have 128 registers in all, others twice as many.
  package var tileRegisters: Int
  /// Registers that an accumulator takes if activations are float16, by the same estimate
  /// (``DriverQuirk/convertsInRegisters``).
  package var halfSumRegisters: Int
  /// Bytes of local memory of a work-group.
  package var localMemory: Int
  /// Bytes of the largest buffer.
  let largestBuffer: Int
  /// Number of floats in the widest useful vector: the hardware's width on CPUs, 4 on devices that report scalars (GPUs), at most
  /// 16.
  package var vectorWidth: Int
  /// Number of vectors of that width that a tile may keep in registers: all 32 registers with AVX-512, 16 elsewhere, less four
  /// for operands.
  package var accumulators: Int
  /// Number of work-items of equal size that keep every compute unit busy to the end.
  package var wantedItems: Int

  /// Side of the output tiles of Winograd's convolution: 2 is as exact as the direct sum; 4 is faster and three times less exact.
  package var winogradSide = 4
  /// Side of the output tiles in the forward pass of training. There a rounding error may move an input of ReLU from one side of
  /// zero to the other, and change the gradient with it. In gradients and in inference the error stays as small as it is.
  package var forwardWinogradSide = 2

  /// - Parameter kernelClass: class of the kernels to use; nil for the one that suits the device.
  package init(_ device: Device, kernelClass: KernelClass? = nil) throws(OpenCLError) {
    self.init(
      isCPU: try device.kind == .cpu, kernelClass,
      matrixInstructions: try device.computeCapability.map { $0.major >= 8 } == true ? .ptx : .none,
      computeUnits: max(1, try device.computeUnits), largestGroup: try device.maxWorkGroupSize,
      localMemory: try device.localMemory, largestBuffer: try device.maxAllocation, nativeWidth: try device.nativeVectorWidth,
      isIntelGPU: try DriverQuirk.convertsInRegisters.applies(to: device))
  }

  /// - Parameter nativeWidth: number of floats in the widest vector of the hardware.
  init(
    isCPU: Bool, _ kernelClass: KernelClass? = nil, matrixInstructions: MatrixInstructions, computeUnits: Int, largestGroup: Int,
    localMemory: Int, largestBuffer: Int, nativeWidth: Int, isIntelGPU: Bool = false
  ) {
    tileRegisters = isIntelGPU ? 72 : 120
    halfSumRegisters = isIntelGPU ? 2 : 1
    (self.isCPU, self.matrixInstructions, self.computeUnits) = (isCPU, matrixInstructions, computeUnits)
    (self.largestGroup, self.localMemory, self.largestBuffer) = (largestGroup, localMemory, largestBuffer)
    self.kernelClass = kernelClass ?? (isCPU ? .registerTiled : .localTiled)
    // A CPU that runs kernels for GPUs uses vectors for GPUs too.
    let native = isCPU && self.kernelClass == .localTiled ? 1 : nativeWidth
    vectorWidth = native >= 16 ? 16 : native >= 8 ? 8 : 4
    accumulators = vectorWidth == 16 ? 28 : 12
    multipliesPairs = isCPU && vectorWidth == 16 && HostProcessor.has("avx512_bf16")
    wantedItems = computeUnits * (self.kernelClass == .registerTiled ? 8 : 512)
  }

  /// Returns the number of terms in a factor of register-tiled convolutions with vectors of that width: 2 if factors are pairs of
  /// bfloat16.
  func terms(width: Int) -> Int { math == .fast && multipliesPairs && kernelClass == .registerTiled && width >= 8 ? 2 : 1 }

  /// Work-group size of reductions, a power of two. Larger work-groups would leave a GPU's scheduler fewer to choose from.
  var workGroupSize: Int { min(256, largestGroup).powerOfTwo }

  /// Returns the width of the widest vector that divides `count`.
  func vectorWidth(dividing count: Int) -> Int {
    var width = vectorWidth
    while count % width != 0 { width /= 2 }
    return width
  }
}
