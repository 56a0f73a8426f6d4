import Compute
import OpenCL

/// One kernel as a compiler has to build it: the file in `Kernels/OpenCL`, the function, and the `-D` options.
public struct KernelBuild: Hashable, Sendable, CustomStringConvertible {
  /// File, function and options.
  public let file, kernel, options: String

  init(_ specialization: KernelSpecialization) {
    file = specialization.file
    kernel = specialization.kernel
    options = specialization.options
  }

  /// Text form, for example `winograd.cl winograd -DVW=16 -DM=4`.
  public var description: String { [file, kernel, options].filter { !$0.isEmpty }.joined(separator: " ") }
}

/// Records the kernels that commands would need, and executes nothing: tensors have no memory, and reads give zeros.
final class KernelLister: Executor {
  /// Kernels in the order of their first launch.
  private(set) var kernels: [KernelSpecialization] = []
  private var known: Set<KernelSpecialization> = []
  /// Device that reports the largest work-group size; nil to accept every size.
  private let device: DeviceExecutor?

  /// Whether to list kernels that a device builds only to find out whether it can.
  let listsTrials: Bool

  init(for device: DeviceExecutor? = nil, listsTrials: Bool = false) { (self.device, self.listsTrials) = (device, listsTrials) }

  let memory = MemoryUse()
  var memoryLimit: Int { .max }
  var largestBlock: Int { .max }
  var memoryAdvice: String? { nil }

  func maxWorkGroupSize(of kernel: KernelSpecialization) throws -> Int {
    try device?.maxWorkGroupSize(of: kernel) ?? .max
  }

  func allocate(byteCount: Int) -> DeviceStorage { DeviceStorage(Buffer(placeholder: byteCount)) }
  func releaseFreeMemory() {}
  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) {}
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) { bytes.initializeMemory(as: UInt8.self, repeating: 0) }
  func readLater(_ tensor: Tensor) -> any Readback { Zeros(tensor) }
  func fill(_ tensor: Tensor, with value: Double) {}
  func copy(_ source: Tensor, into destination: Tensor) {}
  func flush() {}
  func finish() {}

  func launch(
    _ kernel: KernelSpecialization, global: [Int], local: [Int]?, moving bytes: @autoclosure () -> Int?,
    _ arguments: [Kernel.Argument]
  ) {
    if known.insert(kernel).inserted { kernels.append(kernel) }
  }

  /// Lists nothing, because CLBlast builds its kernels itself.
  func multiplyByCLBlast(_ a: Tensor, _ b: Tensor, _ product: MatrixProduct, accumulate: Bool, into c: Tensor) {}

  private final class Zeros: Readback {
    private let shape: Shape
    private let type: DataType

    init(_ tensor: Tensor) { (shape, type) = (tensor.shape, tensor.type) }

    var isReady: Bool { true }
    func wait() -> HostTensor {
      HostTensor(shape: shape, type: type, bytes: [UInt8](repeating: 0, count: shape.count * type.byteCount))
    }
  }
}
