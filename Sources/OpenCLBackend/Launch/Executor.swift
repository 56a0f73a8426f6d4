import Compute
import OpenCL

/// Destination of an ``OpenCLBackend``'s commands: a device, or a list of the kernels that a device would have to build.
protocol Executor: AnyObject {
  var memory: MemoryUse { get }
  /// Bytes that may be allocated in all, and in one block.
  var memoryLimit: Int { get }
  var largestBlock: Int { get }
  /// Advice for a batch that is too large for the device's memory; nil for none.
  var memoryAdvice: String? { get }
  /// Returns the largest work-group size of this kernel, which is known once the kernel is built.
  func maxWorkGroupSize(of specialization: KernelSpecialization) throws -> Int

  func allocate(byteCount: Int) throws -> DeviceStorage
  /// Gives blocks that no tensor uses back to the driver.
  func releaseFreeMemory()
  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws
  func readLater(_ tensor: Tensor) throws -> any Readback
  func fill(_ tensor: Tensor, with value: Double) throws
  func copy(_ source: Tensor, into destination: Tensor) throws
  func flush() throws
  func finish() throws

  /// Enqueues a kernel. Builds it first if this is its first launch.
  /// - Parameters:
  ///   - local: work-items of a work-group; nil lets the driver choose.
  ///   - bytes: bytes that the kernel moves, for profiles; nil counts each of its buffers once.
  func launch(
    _ specialization: KernelSpecialization, global: [Int], local: [Int]?, moving bytes: @autoclosure () -> Int?,
    _ arguments: [Kernel.Argument]) throws
  /// Computes c (+)= a·b of float32 by CLBlast.
  func multiplyByCLBlast(_ a: Tensor, _ b: Tensor, _ product: MatrixProduct, accumulate: Bool, into c: Tensor) throws
}
