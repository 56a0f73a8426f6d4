/// One call of an operation of ``Backend`` as a value: its operands, what it does with them, its cost, and the call itself.
///
/// The contract of an operation stands beside its declaration, in the files of `Compute/Operations`. Everything that must know
/// an operation without computing it reads the contract: the checks of real backends, the dry run, the division of a batch among
/// devices, and the cases of the conformance catalog.
public struct OperationContract {
  /// Calls the operation on a backend, with tensors that replace those of the contract. Keeps no tensor of the contract.
  public typealias Call = @Sendable (any Backend, Operands) throws -> Void

  /// Name of the operation in ``Backend``, without argument labels.
  public let name: String
  /// Operands that are read, then those that are updated, then those that are written.
  public let operands: [Operand]
  /// Multiply-accumulates of a convolution or matrix product; 0 for other operations.
  public let macs: Int
  /// Operation whose scratch memory a device reports; nil if no device needs any.
  public let workspace: WorkspaceOperation?
  /// Value that is valid for all elements of integer operands.
  public let integers: Int
  /// Calls the operation again, on this or on another backend.
  public let call: Call
  private let describe: () -> String

  /// - Parameter detail: description that distinguishes this call from other calls of the operation.
  package init(
    _ name: String, _ detail: @autoclosure @escaping () -> String, macs: Int = 0, workspace: WorkspaceOperation? = nil,
    integers: Int = 0, _ operands: [Operand], _ call: @escaping Call
  ) {
    (self.name, self.operands, self.macs, self.workspace, self.integers) = (name, operands, macs, workspace, integers)
    (self.call, describe) = (call, detail)
  }

  /// Description that distinguishes this call from other calls of the operation, for example
  /// `128×32×32×16 → 32×32×16, 3×3 stride 1 padding 1`.
  public var detail: String { describe() }
}

extension OperationContract {
  /// A tensor of a call, and what the operation requires of it.
  public struct Operand {
    /// Name of the parameter, for example `x`.
    public let name: String
    public let tensor: Tensor
    /// Shape that the tensor must have.
    public let shape: Shape
    public let elements: Elements
    public let layout: Layout
    public let role: Role
    /// Names of the operands whose memory a result may take over.
    public let replaces: [String]
    /// Bytes that the operation reads of an operand of which it needs only a part; nil for all.
    public let partialByteCount: Int?

    /// Bytes that pass if each element passes once, or twice in an operand that is read and written.
    public var traffic: Int { (partialByteCount ?? tensor.byteCount) * (role == .update ? 2 : 1) }
  }

  /// Access of an operation to an operand.
  public enum Role: Hashable, Sendable {
    case read, write
    /// Reads the operand, and writes all or some of its elements.
    case update
  }

  /// Element types that an operand may have.
  public enum Elements: Hashable, Sendable {
    /// The backend's ``Backend/scalar`` type.
    case scalar
    /// The backend's scalar type or a 16-bit type, which is the same for all activations of a call.
    case activation
    /// uint8, or the backend's scalar type.
    case pixel
    case int32, uint8
    /// Any type.
    case any
  }

  /// The place of an operand when several devices share the work.
  public enum Layout: Hashable, Sendable {
    /// The first dimension is the images of a batch: each device may hold its share. If one such operand of a call is divided,
    /// all are.
    case perImage
    /// Each device holds the whole operand. If it is a result, each device computes it.
    case onEveryDevice
    /// The first device's contents count. If all operands are such, the first device alone performs the operation.
    case onFirstDevice
    /// A result that is a sum over all images: the sum of what the devices compute from their shares.
    case sumOverImages
    /// Layout of the tensor's allocation: ``perImage`` or ``onEveryDevice``.
    case asAllocated
  }
}

extension OperationContract.Operand {
  /// Creates an operand that is read.
  /// - Parameters:
  ///   - layout: nil for the usual one, which is ``OperationContract/Layout/perImage`` for activations and
  ///     ``OperationContract/Layout/onEveryDevice`` for others.
  ///   - partialByteCount: bytes that are read of an operand of which only a part is needed; nil for all.
  package static func read(
    _ name: String, _ tensor: Tensor, _ shape: Shape, _ elements: OperationContract.Elements = .scalar,
    _ layout: OperationContract.Layout? = nil, partialByteCount: Int? = nil
  ) -> Self {
    Self(
      name: name, tensor: tensor, shape: shape, elements: elements, layout: layout ?? usual(elements), role: .read, replaces: [],
      partialByteCount: partialByteCount)
  }

  /// Creates an operand that is overwritten.
  /// - Parameter replaces: names of the operands whose memory it may take over.
  package static func write(
    _ name: String, _ tensor: Tensor, _ shape: Shape, _ elements: OperationContract.Elements = .scalar,
    _ layout: OperationContract.Layout? = nil, replaces: [String] = []
  ) -> Self {
    Self(
      name: name, tensor: tensor, shape: shape, elements: elements, layout: layout ?? usual(elements), role: .write,
      replaces: replaces, partialByteCount: nil)
  }

  /// Creates an operand that is read and written.
  package static func update(
    _ name: String, _ tensor: Tensor, _ shape: Shape, _ elements: OperationContract.Elements = .scalar,
    _ layout: OperationContract.Layout? = nil
  ) -> Self {
    Self(
      name: name, tensor: tensor, shape: shape, elements: elements, layout: layout ?? usual(elements), role: .update,
      replaces: [], partialByteCount: nil)
  }

  private static func usual(_ elements: OperationContract.Elements) -> OperationContract.Layout {
    elements == .activation ? .perImage : .onEveryDevice
  }
}

/// Tensors of a call by the names of its operands.
public struct Operands {
  private let tensors: [(name: String, tensor: Tensor)]

  /// - Parameter tensors: tensors with unique names.
  public init(_ tensors: [(name: String, tensor: Tensor)]) { self.tensors = tensors }

  /// Returns the tensor of this name.
  /// - Precondition: there is one.
  public subscript(name: String) -> Tensor {
    guard let tensor = optional(name) else { preconditionFailure("[Operands] no \(name) among \(tensors.map(\.name))") }
    return tensor
  }

  /// Returns the tensor of this name, or nil if the call has no such operand.
  public func optional(_ name: String) -> Tensor? { tensors.first { $0.name == name }?.tensor }
}
