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

  /// Calls an operation of a backend with the tensors of ``operands``, in order.
  public typealias Call = @Sendable (any Backend, [Tensor]) throws -> Void

  struct Operand: Sendable {
    let shape: Shape
    let type: DataType
    /// Index of an earlier operand whose memory this one shares, in an operation in place; nil for none.
    let place: Int?
  }

  let operands: [Operand]
  let integers: Int
  /// Convolution that the operation computes; nil for other operations.
  public let convolution: ConvolutionWork?
  let call: Call

  /// Allocates the operands and returns a closure that enqueues the operation once. Floats start between ½ and 1½, labels at
  /// zero, and other integers at a value that is valid for the operation.
  /// - Throws: errors of the backend, for example a lack of memory.
  public func prepare(on backend: any Backend) throws -> () throws -> Void {
    var tensors: [Tensor] = []
    for operand in operands {
      if let place = operand.place {
        tensors.append(tensors[place].reshaped(operand.shape))
      } else if operand.type.isFloatingPoint {
        tensors.append(try backend.upload(Self.floats(operand.shape), as: operand.type == .float64 ? nil : operand.type))
      } else {
        tensors.append(try backend.tensor(operand.shape, operand.type))
        try backend.fill(tensors[tensors.count - 1], with: Double(integers))
      }
    }
    return { [call, tensors] in try call(backend, tensors) }
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
