import Compute
import Support

/// One operation of a dry run, which can be run again on a real backend.
public struct OperationRecord: Sendable {
  /// ``DryRunBackend/layer`` at the time of logging.
  public let layer: String
  /// Name of the operation in ``Backend``.
  public let operation: String
  /// Description that distinguishes it from other calls, for example `128×32×32×16 → 32×32×16, 3×3 stride 1 padding 1`.
  public let detail: String
  /// Shapes of the inputs and the first result, for example `[128, 32, 32, 16], [3, 3, 16, 16] → [128, 32, 32, 16]`.
  public let shapes: String
  /// Shape of the first result.
  public let output: Shape
  /// Size of the first result in bytes.
  public let outputBytes: Int
  /// Multiply-accumulates of a convolution or matrix product; 0 for other operations.
  public let macs: Int
  /// Bytes read and written if each tensor passes once, however often a device really reads it.
  public let bytes: Int
  /// Portion of ``bytes`` read by read-modify-write operands.
  public let updatedBytes: Int

  /// Operation and detail. Operations that do the same work have equal names.
  public var name: String { "\(operation) \(detail)" }

  /// Operands, in the order of the contract.
  package let operands: [Operand]
  /// Convolution that the operation computes; nil for other operations.
  public let convolution: ConvolutionWork?
  private let integers: Int
  private let call: OperationContract.Call

  /// An operand without its memory.
  package struct Operand: Sendable {
    package let name: String
    package let elements: OperationContract.Elements
    package let layout: OperationContract.Layout
    fileprivate let shape: Shape
    fileprivate let type: DataType
    /// Index of an earlier operand whose memory this one shares, in an operation in place; nil for none.
    fileprivate let place: Int?
  }

  /// - Parameter places: for each operand, the index of the first earlier one whose memory it shares.
  init(_ operation: OperationContract, layer: String, isInPlace: Bool, places: [Int?]) {
    let sources = operation.operands.filter { $0.role != .write }
    let result = operation.operands.first { $0.role == .write } ?? operation.operands.first { $0.role == .update }
    (self.layer, self.operation) = (layer, operation.name)
    detail = operation.detail + (isInPlace ? ", in place" : "")
    output = result?.tensor.shape ?? []
    outputBytes = result?.tensor.byteCount ?? 0
    shapes = "\(sources.map(\.tensor.shape.description).joined(separator: ", ")) → \(output)"
    macs = operation.macs
    bytes = operation.operands.reduce(0) { $0 + $1.traffic }
    updatedBytes = operation.operands.reduce(0) { $0 + ($1.role == .update ? $1.tensor.byteCount : 0) }
    operands = zip(operation.operands, places).map {
      Operand(
        name: $0.name, elements: $0.elements, layout: $0.layout, shape: $0.tensor.shape, type: $0.tensor.type, place: $1)
    }
    if case .convolution(let work) = operation.workspace { convolution = work } else { convolution = nil }
    (integers, call) = (operation.integers, operation.call)
  }

  /// Allocates the operands and returns a closure that enqueues the operation once. Floats start between ½ and 1½, labels at
  /// zero, and other integers at a value that is valid for the operation.
  /// - Throws: errors of the backend, for example a lack of memory.
  public func prepare(on backend: any Backend) throws -> () throws -> Void {
    var tensors: [(name: String, tensor: Tensor)] = []
    for operand in operands {
      let tensor: Tensor
      if let place = operand.place {
        tensor = tensors[place].tensor.reshaped(operand.shape)
      } else if operand.type.isFloatingPoint {
        tensor = try backend.upload(Self.floats(operand.shape), as: operand.type == .float64 ? nil : operand.type)
      } else {
        tensor = try backend.tensor(operand.shape, operand.type)
        try backend.fill(tensor, with: Double(integers))
      }
      tensors.append((operand.name, tensor))
    }
    let operands = Operands(tensors)
    return { [call] in try call(backend, operands) }
  }

  /// Repeats a few thousand random numbers. Equal numbers would spare a device work that real data does not.
  private static func floats(_ shape: Shape) -> HostTensor {
    var elements = [Float](repeating: 0, count: shape.count)
    for i in elements.indices { elements[i] = pattern[i % pattern.count] }
    return HostTensor(elements, shape: shape)
  }

  private static let pattern: [Float] = {
    var random = Philox(seed: 0, stream: 0)
    return (0..<4099).map { _ in 0.5 + random.uniform() }
  }()
}
