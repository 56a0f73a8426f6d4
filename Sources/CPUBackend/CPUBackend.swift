import Compute
import Support

/// The reference implementation that every kernel is checked against: plain loops over ordinary memory and sums in Double.
/// Correctness comes before speed.
///
/// Operations are complete when the call returns. Results do not depend on the number of threads: each element is summed by one
/// thread, in a fixed order.
public final class CPUBackend: ShardBackend {
  public let scalar: DataType
  public let alignment = 64
  private let pool = BlockPool(alignment: 64, limit: HostMemory.available())

  /// - Parameter precision: element type of floating-point tensors: ``DataType/float32``, or ``DataType/float64`` for gradient
  ///   checks.
  public init(precision: DataType = .float32) {
    precondition(precision == .float32 || precision == .float64, "[CPUBackend] no kernels for \(precision)")
    scalar = precision
  }

  public var name: String { "CPU reference (\(scalar))" }
  public var memory: MemoryUse { pool.blocks.use }
  public var memoryLimit: Int { pool.limit }
  public var memoryAdvice: String? { HostMemory.advice() }
  public var largestBlock: Int { .max }

  /// Whether to choose the Double specialization of a kernel: `isDouble ? kernel(Double.self, …) : kernel(Float.self, …)`.
  /// Both types are spelled out where the kernel is visible, so that the compiler generates code for each. A generic kernel that
  /// is called through a protocol runs about a hundred times slower.
  var isDouble: Bool { scalar == .float64 }

  /// Stops the program if the operands of a call break its contract. Activations of 16 bits have no kernels here.
  func check(_ operation: OperationContract) { operation.check(scalar: scalar, acceptsHalf: false) }

  // MARK: Memory

  public func allocate(byteCount: Int) throws -> any Storage { try CPUStorage(byteCount: byteCount, pool: pool) }

  public func slice(_ storage: any Storage, offset: Int, byteCount: Int) -> any Storage {
    precondition(
      offset >= 0 && offset % alignment == 0 && byteCount >= 0 && offset + byteCount <= storage.byteCount,
      "[slice] \(byteCount) bytes from \(offset) of \(storage.byteCount), alignment \(alignment)")
    return CPUStorage(byteCount: byteCount, at: offset, of: memoryBlock(of: storage))
  }

  public func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) {
    precondition(bytes.count == tensor.byteCount, "[write] \(bytes.count) bytes to \(tensor.shape) of \(tensor.type)")
    self.bytes(of: tensor).copyMemory(from: bytes)
  }

  public func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count == tensor.byteCount, "[read] \(tensor.shape) of \(tensor.type) into \(bytes.count) bytes")
    bytes.copyMemory(from: UnsafeRawBufferPointer(self.bytes(of: tensor)))
  }

  public func readLater(_ tensor: Tensor) throws -> any Readback { CompletedReadback(value: try download(tensor)) }

  public func fill(_ tensor: Tensor, with value: Double) {
    switch tensor.type {
    case .float32: fillElements(tensor, Float(value))
    case .float64: fillElements(tensor, value)
    case .int32: fillElements(tensor, Int32(value))
    case .int64: bytes(of: tensor).bindMemory(to: Int64.self).update(repeating: Int64(value))
    case .uint8: fillElements(tensor, UInt8(value))
    case .float16, .bfloat16: preconditionFailure("[fill] no kernel uses \(tensor.type)")
    }
  }

  private func fillElements<T: CPUElement>(_ tensor: Tensor, _ value: T) {
    pointer(tensor, to: T.self).update(repeating: value, count: tensor.count)
  }

  public func copy(_ source: Tensor, into destination: Tensor) {
    check(.copy(source, into: destination))
    bytes(of: destination).copyMemory(from: UnsafeRawBufferPointer(bytes(of: source)))
  }

  public func flush() {}
  public func finish() {}

  private func bytes(of tensor: Tensor) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: memoryBlock(of: tensor.storage).base, count: tensor.byteCount)
  }
}

private final class CompletedReadback: Readback {
  private let value: HostTensor
  init(value: HostTensor) { self.value = value }
  var isReady: Bool { true }
  func wait() -> HostTensor { value }
}
