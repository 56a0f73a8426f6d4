import Compute

/// A device whose results are observed, operation by operation. It can compute everything on a reference as well, from that
/// reference's own results, so that the two can be compared.
///
/// Activations of 16 bits are float32 on the reference. It is slow: every result is read back.
final class ComparingBackend: ContractBackend {
  /// Receives the result of an operation on the device, and on the reference if there is one.
  typealias Observer = (_ operation: String, _ tensor: String, _ result: HostTensor, _ reference: HostTensor?) throws -> Void

  /// Blocks of the device and of the reference for one tensor.
  private final class Pair: Storage {
    let device: any Storage
    let reference: (any Storage)?
    var byteCount: Int { device.byteCount }

    init(_ device: any Storage, _ reference: (any Storage)?) { (self.device, self.reference) = (device, reference) }
  }

  /// Called after each operation, for each result of floating-point numbers.
  var onResult: Observer = { _, _, _, _ in }

  private let device: any Backend
  private let reference: (any Backend)?
  /// Size of an element on the reference relative to that on the device, at most.
  private let widening: Int

  /// - Parameters:
  ///   - reference: backend that computes everything as well; nil for none.
  ///   - storage: type of the activations on the device.
  init(_ device: any Backend, against reference: (any Backend)? = nil, storage: DataType) {
    (self.device, self.reference) = (device, reference)
    widening = max(1, device.scalar.byteCount / storage.byteCount)
  }

  var name: String { device.name }
  var scalar: DataType { device.scalar }
  var alignment: Int { max(device.alignment, reference?.alignment ?? 1) }
  var memory: MemoryUse { device.memory }
  var memoryLimit: Int { device.memoryLimit }
  var largestBlock: Int { device.largestBlock }

  // MARK: Memory

  func allocate(byteCount: Int) throws -> any Storage {
    Pair(try device.allocate(byteCount: byteCount), try reference?.allocate(byteCount: byteCount * widening))
  }

  func allocate(byteCount: Int, images: Int) throws -> any Storage {
    Pair(
      try device.allocate(byteCount: byteCount, images: images),
      try reference?.allocate(byteCount: byteCount * widening, images: images))
  }

  /// Returns a tensor of the device as one of this backend.
  /// - Precondition: there is no reference.
  func adopt(_ tensor: Tensor) -> Tensor {
    precondition(reference == nil, "[ComparingBackend] the reference has no such tensor")
    return Tensor(shape: tensor.shape, type: tensor.type, storage: Pair(tensor.storage, nil))
  }

  func slice(_ storage: any Storage, offset: Int, byteCount: Int) throws -> any Storage {
    let pair = own(storage)
    return Pair(
      try device.slice(pair.device, offset: offset, byteCount: byteCount),
      try pair.reference.map { try reference?.slice($0, offset: offset, byteCount: byteCount) } ?? nil)
  }

  func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) throws {
    try device.write(bytes, to: onDevice(tensor))
    guard let reference, let other = onReference(tensor) else { return }
    try HostTensor(shape: tensor.shape, type: tensor.type, bytes: Array(bytes)).converted(to: other.type).bytes.withUnsafeBytes {
      try reference.write($0, to: other)
    }
  }

  func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) throws {
    try device.read(onDevice(tensor), into: bytes)
  }

  func readLater(_ tensor: Tensor) throws -> any Readback { try device.readLater(onDevice(tensor)) }

  /// Returns the values of a tensor on the reference, after all work so far; nil without a reference.
  func downloadFromReference(_ tensor: Tensor) throws -> HostTensor? {
    guard let reference, let other = onReference(tensor) else { return nil }
    return try reference.download(other)
  }

  func flush() throws { try device.flush() }
  func finish() throws { try device.finish() }
  func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] { device.workspaceByteCounts(operation) }

  private func own(_ storage: any Storage) -> Pair {
    guard let pair = storage as? Pair else { preconditionFailure("[ComparingBackend] a tensor of another backend") }
    return pair
  }

  private func onDevice(_ tensor: Tensor) -> Tensor {
    Tensor(shape: tensor.shape, type: tensor.type, storage: own(tensor.storage).device)
  }

  private func onReference(_ tensor: Tensor) -> Tensor? {
    own(tensor.storage).reference.map { Tensor(shape: tensor.shape, type: wide(tensor.type), storage: $0) }
  }

  /// Returns the type that a tensor has on the reference.
  private func wide(_ type: DataType) -> DataType {
    type == .float16 || type == .bfloat16 ? reference?.scalar ?? scalar : type
  }

  // MARK: Operations

  func perform(_ operation: OperationContract) throws {
    let operands = operation.operands
    try operation.call(device, Operands(operands.map { ($0.name, onDevice($0.tensor)) }))
    if let reference {
      try operation.call(
        reference, Operands(operands.compactMap { operand in onReference(operand.tensor).map { (operand.name, $0) } }))
    }
    for operand in operands where operand.role != .read { try observe(operand.tensor, operand.name, of: operation.name) }
  }

  private func observe(_ tensor: Tensor, _ name: String, of operation: String) throws {
    guard tensor.type.isFloatingPoint else { return }
    try onResult(operation, name, device.download(onDevice(tensor)), downloadFromReference(tensor))
  }

  func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?
  ) throws {
    try perform(
      .crossEntropy(logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale))
  }

  // Prepared filters have a form of their own on each backend, in memory that suffices for both.

  func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int {
    max(
      try device.preparedFilterCount(geometry, storage), try reference?.preparedFilterCount(geometry, wide(storage)) ?? 0)
  }

  func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    max(device.plannedFilterCount(geometry, storage), reference?.plannedFilterCount(geometry, wide(storage)) ?? 0)
  }

  func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws {
    try device.prepareFilter(
      onDevice(filter), geometry, storage, into: cut(onDevice(prepared), device.preparedFilterCount(geometry, storage)))
    guard let reference, let filter = onReference(filter), let prepared = onReference(prepared) else { return }
    let count = try reference.preparedFilterCount(geometry, wide(storage))
    try reference.prepareFilter(filter, geometry, wide(storage), into: cut(prepared, count))
  }

  func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) throws {
    func call(_ backend: any Backend, _ part: (Tensor) -> Tensor?) throws {
      guard let x = part(x), let prepared = part(prepared), let y = part(y), let scale = part(epilogue.scale),
        let bias = part(epilogue.bias)
      else { return }
      let count = try backend.preparedFilterCount(geometry, x.type)
      try backend.convolution(
        x, prepared: cut(prepared, count), geometry,
        ConvolutionEpilogue(scale: scale, bias: bias, residual: epilogue.residual.flatMap(part), relu: epilogue.relu), into: y)
    }
    try call(device, onDevice)
    if let reference { try call(reference, onReference) }
    try observe(y, "y", of: "convolution")
  }

  /// Returns the first `count` elements of a prepared filter's memory.
  private func cut(_ prepared: Tensor, _ count: Int) -> Tensor {
    Tensor(shape: [count], type: prepared.type, storage: prepared.storage)
  }
}
