import CPUBackend
import Compute

/// The CPU reference as a device with a driver that errs, and as one whose losses arrive late.
final class BreakingBackend: ContractBackend {
  /// Error in the results of an operation.
  struct Mistake {
    /// Name of the operation, and of its result.
    let operation, operand: String
    /// Shape of the result.
    let shape: Shape
    /// Value that one of its elements gets.
    let value: Float
  }

  /// The present mistake; nil for none.
  var mistake: Mistake?
  private let device = CPUBackend()

  var name: String { "a device that errs" }
  var scalar: DataType { device.scalar }
  var alignment: Int { device.alignment }
  var memory: MemoryUse { device.memory }
  var memoryLimit: Int { device.memoryLimit }
  var largestBlock: Int { device.largestBlock }

  func allocate(byteCount: Int) throws -> any Storage { try device.allocate(byteCount: byteCount) }
  func slice(_ storage: any Storage, offset: Int, byteCount: Int) -> any Storage {
    device.slice(storage, offset: offset, byteCount: byteCount)
  }
  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) { device.write(bytes, to: tensor) }
  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) { device.read(tensor, into: bytes) }
  func readLater(_ tensor: Tensor) throws -> any Readback { Late(value: try device.download(tensor)) }
  func flush() {}
  func finish() {}
  func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] { [] }
  func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int { device.plannedFilterCount(geometry, storage) }

  func perform(_ operation: OperationContract) throws {
    try operation.call(device, Operands(operation.operands.map { ($0.name, $0.tensor) }))
    guard let mistake, operation.name == mistake.operation else { return }
    for operand in operation.operands where operand.name == mistake.operand && operand.shape == mistake.shape {
      var values = try device.download(operand.tensor).floats
      values[values.count / 2] = mistake.value
      HostTensor(values, shape: operand.shape).bytes.withUnsafeBytes { device.write($0, to: operand.tensor) }
    }
  }

  func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?
  ) throws {
    try perform(
      .crossEntropy(logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale))
  }

  /// A copy that has never arrived before it is waited for, so that as many steps as possible are under way.
  private final class Late: Readback {
    private let value: HostTensor
    init(value: HostTensor) { self.value = value }
    var isReady: Bool { false }
    func wait() -> HostTensor { value }
  }
}
