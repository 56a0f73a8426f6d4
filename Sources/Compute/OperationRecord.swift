/// One operation of a dry run, which can be run again on a real backend.
public struct OperationRecord: Sendable {
  /// ``DryRunBackend/layer`` at the time.
  public let layer: String
  /// The operation's name in ``Backend``.
  public let operation: String
  /// What distinguishes it from other calls, for example `128×32×32×16 → 32×32×16, 3×3 stride 1 padding 1`.
  public let detail: String
  /// For example `[128, 32, 32, 16], [3, 3, 16, 16] → [128, 32, 32, 16]`.
  public let shapes: String
  /// The shape of the first result.
  public let output: Shape
  /// Its size in bytes.
  public let outputBytes: Int
  /// Multiply-accumulates of convolutions and matrix products; 0 for the rest.
  public let macs: Int
  /// Bytes read and written if each tensor passes once, however often a device reads it.
  public let bytes: Int
  /// Of these, bytes that are read for the sake of what is added to them.
  public let updatedBytes: Int

  /// The operation and its detail: equal for operations that do the same work.
  public var name: String { "\(operation) \(detail)" }

  /// Calls an operation of a backend with the tensors of ``operands``, in order.
  public typealias Call = @Sendable (any Backend, [Tensor]) throws -> Void

  struct Operand: Sendable {
    let shape: Shape
    let type: DataType
    /// The operand before it whose memory it shares, in an operation in place.
    let place: Int?
  }

  let operands: [Operand]
  let integers: Int
  /// Which convolution it is; nil for other operations.
  public let convolution: ConvolutionWork?
  let call: Call

  /// Allocates the operands and hands back what enqueues the operation once. Floats start between ½ and 1½, labels at zero,
  /// and all integers at values that the operation may get.
  /// - Throws: what the backend throws, for example for lack of memory.
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

  /// Some thousand random numbers over and over: equal ones would spare a device work that real ones do not.
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
