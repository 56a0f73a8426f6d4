import Compute
import DryRun

/// One operation on one set of shapes: the call, its inputs, the required accuracy, and its cost.
///
/// The same case serves two purposes: a test runs it on two backends and compares them (``Conformance/check(_:on:against:)``),
/// and `resnet verify` does so on a user's device.
///
/// To add a case, list the operands and call the operation on them:
///
///     Case(
///       "relu", "[3, 17]", flops: 51, bound: .exact,
///       [.input("x", [3, 17]), .output("y", [3, 17])]
///     ) { backend, tensors in try backend.relu(tensors["x"], into: tensors["y"]) }
///
/// Then add it to the list of its operation's family, for example ``Catalog/elementwise``. Inputs follow from the case's name,
/// so that they are the same in every run. Outputs start as NaN (or a sentinel): an element that is never written is an error.
package struct Case: Sendable {
  /// Unique name: the operation, then its shapes and options.
  package private(set) var name: String
  /// Member of `Backend` that is called, without its argument labels.
  package let operation: String
  /// Number of floating-point operations; a multiply-add counts as two.
  package let flops: Int
  /// Minimum traffic in bytes for float32: every input is read once, every output is written once.
  package let bytes: Int
  package private(set) var bound: Bound
  package let size: Size
  /// Storage type of activations on the device under test. The reference works on the same values in its own precision.
  package let storage: DataType
  /// Convolution that the case computes, for which a device may offer several algorithms; nil for other operations.
  package let convolution: ConvolutionWork?

  package enum Size: String, Sendable {
    /// Odd shapes, for tests.
    case small
    /// Shapes of the published networks.
    case real
  }

  let operands: [Operand]
  let body: @Sendable (any Backend, Operands) throws -> Void
  /// Names of the operands that are activations, and of those whose first dimension is the images of a batch, which devices can
  /// share. The operations' contracts tell.
  private let activations, batches: Set<String>

  init(
    _ operation: String, _ detail: String, size: Size = .small, flops: Int, bound: Bound, convolution: ConvolutionWork? = nil,
    _ operands: [Operand], _ body: @escaping @Sendable (any Backend, Operands) throws -> Void
  ) {
    name = "\(operation) \(detail)"
    storage = .float32
    self.convolution = convolution
    self.operation = operation
    self.flops = flops
    self.bound = bound
    self.size = size
    self.operands = operands
    self.body = body
    bytes = operands.reduce(0) { $0 + $1.traffic }
    let described = Self.operandsOfContracts(operands, body)
    activations = Set(described.filter { $0.elements == .activation }.map(\.name))
    batches = Set(described.filter { $0.layout == .perImage }.map(\.name))
  }

  /// Returns the operands of all calls that a case makes.
  private static func operandsOfContracts(
    _ operands: [Operand], _ body: (any Backend, Operands) throws -> Void
  ) -> [OperationRecord.Operand] {
    let dryRun = DryRunBackend()
    do {
      try body(dryRun, Operands(operands.map { ($0.name, try dryRun.tensor($0.shape, $0.type)) }))
    } catch { preconditionFailure("[Case] \(error)") }
    return dryRun.operations.flatMap(\.operands)
  }

  /// Creates a copy of a case with activations of another storage type.
  private init(_ original: Case, storage: DataType) {
    name = "\(original.name), \(storage)"
    operation = original.operation
    flops = original.flops
    bytes = original.operands.reduce(0) { $0 + (original.isActivation($1) ? $1.traffic / 4 * storage.byteCount : $1.traffic) }
    bound = original.bound.storing(as: storage)
    size = original.size
    self.storage = storage
    convolution = original.convolution.map { ConvolutionWork($0.pass, $0.geometry, storage, accumulates: $0.accumulates) }
    (operands, body) = (original.operands, original.body)
    (activations, batches) = (original.activations, original.batches)
  }

  /// Returns the same case under a longer name, which marks one of several algorithms.
  package func tagged(_ tag: String) -> Case {
    var copy = self
    copy.name += ", \(tag)"
    return copy
  }

  /// Returns the same case with 16-bit activations, or nil for an operation without activations. The reference gets the same
  /// rounded values.
  package func stored(as type: DataType) -> Case? {
    operands.contains(where: isActivation) ? Case(self, storage: type) : nil
  }

  /// Returns the same case with a larger bound, for a device that rounds the factors of convolutions to another type.
  package func multiplying(_ type: DataType) -> Case {
    var changed = self
    if operation.hasPrefix("convolution") { changed.bound = bound.multiplying(type) }
    return changed
  }

  private func isActivation(_ operand: Operand) -> Bool { activations.contains(operand.name) }

  /// Uploads the inputs, allocates the outputs and returns an object that enqueues the operation.
  /// - Parameters:
  ///   - isReference: whether activations keep the backend's own precision. Their values are still those of ``storage``.
  ///   - sharingOut: whether the images of each operand are divided among the backend's devices.
  ///   - isGuarded: whether each operand lies between guard zones. Not for several devices.
  package func prepare(
    on backend: any Backend, asReference isReference: Bool = false, sharingOut: Bool = false, isGuarded: Bool = false
  ) throws -> PreparedCase {
    var tensors: [(name: String, tensor: Tensor)] = []
    var guards: [(name: String, zones: GuardZones)] = []
    for operand in operands {
      var contents = operand.contents(seed: seed)
      let isStored = storage != .float32 && isActivation(operand)
      if isStored { contents = contents.converted(to: storage) }
      let type = isStored && !isReference ? storage : nil
      if isGuarded {
        let (tensor, zones) = try GuardZones.around(contents, as: type, on: backend)
        guards.append((operand.name, zones))
        tensors.append((operand.name, tensor))
      } else {
        let isShared = sharingOut && batches.contains(operand.name)
        let tensor = try isShared ? backend.uploadBatch(contents, as: type) : backend.upload(contents, as: type)
        tensors.append((operand.name, tensor))
      }
    }
    return PreparedCase(subject: self, backend: backend, tensors: Operands(tensors), guards: guards)
  }

  /// FNV-1a hash of the name.
  private var seed: UInt64 { name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } }
}

/// A case whose operands are on a backend.
package struct PreparedCase {
  let subject: Case
  let backend: any Backend
  let tensors: Operands
  let guards: [(name: String, zones: GuardZones)]

  /// Enqueues the operation once. Does not wait, unless the operation itself does (`readLater`).
  package func run() throws { try subject.body(backend, tensors) }

  /// Returns the operands that the operation has written, by name, after all work enqueued so far.
  package func outputs() throws -> [(name: String, values: HostTensor)] {
    try subject.operands.filter(\.isWritten).map { ($0.name, try backend.download(tensors[$0.name])) }
  }

  /// Returns a description of each guard zone that the operation has changed, after all work enqueued so far.
  func damages() throws -> [String] {
    try guards.flatMap { name, zones in try zones.damages(on: backend).map { "\(name): \($0)" } }
  }
}
