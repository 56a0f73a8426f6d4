/// A device without memory or arithmetic: it checks every shape, logs every operation and learns the exact peak of the memory
/// pool, so that a model can be examined before anything is launched.
///
/// Tensors read as zeros. A shape, type or overlap that the protocol forbids stops the program, as on a real device.
public final class DryRunBackend: Backend {
  public let scalar: DataType
  public let alignment: Int
  /// The operations so far, in order.
  public private(set) var operations: [OperationRecord] = []
  /// What the next records name as their layer.
  public var layer = ""

  let modelled: (any Backend)?
  private let pool: DryPool

  /// - Parameter modelled: the device whose memory is predicted: its element type, its alignment, which is also its pool's
  ///   granularity, and its operations' workspaces. Without one: float32, 128 bytes and no workspaces.
  public init(modelling modelled: (any Backend)? = nil) {
    self.modelled = modelled
    scalar = modelled?.scalar ?? .float32
    alignment = modelled?.alignment ?? 128
    pool = DryPool(granularity: alignment)
  }

  public var name: String { "dry run" }
  public var memory: MemoryUse { pool.blocks.use }
  /// None: what does not fit on the modelled device is predicted all the same.
  public var memoryLimit: Int { .max }

  /// Calls, multiply-accumulates and bytes of each kind of operation, by name.
  public var totals: [(operation: String, calls: Int, macs: Int, bytes: Int)] {
    Dictionary(grouping: operations, by: \.operation)
      .map { name, records in
        (name, records.count, records.reduce(0) { $0 + $1.macs }, records.reduce(0) { $0 + $1.bytes })
      }
      .sorted { $0.0 < $1.0 }
  }

  // MARK: Memory

  public func allocate(byteCount: Int) -> any Storage {
    precondition(byteCount >= 0, "[allocate] \(byteCount) bytes")
    return DryStorage(DryBlock(byteCount, pool), offset: 0, byteCount: byteCount)
  }

  public func slice(_ storage: any Storage, offset: Int, byteCount: Int) -> any Storage {
    let whole = own(storage, "slice")
    precondition(
      offset >= 0 && offset % alignment == 0 && byteCount >= 0 && offset + byteCount <= whole.byteCount,
      "[slice] \(byteCount) bytes from \(offset) of \(whole.byteCount), alignment \(alignment)")
    return DryStorage(whole.block, offset: whole.offset + offset, byteCount: byteCount)
  }

  public func write(_ bytes: UnsafeRawBufferPointer, to tensor: Tensor) {
    precondition(bytes.count == tensor.byteCount, "[write] \(bytes.count) bytes to \(tensor.shape) of \(tensor.type)")
    _ = own(tensor.storage, "write")
  }

  public func read(_ tensor: Tensor, into bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count == tensor.byteCount, "[read] \(tensor.shape) of \(tensor.type) into \(bytes.count) bytes")
    _ = own(tensor.storage, "read")
    bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  public func readLater(_ tensor: Tensor) throws -> any Readback { DryReadback(value: try download(tensor)) }

  public func fill(_ tensor: Tensor, with value: Double) { log("fill", reads: [], writes: [tensor]) }

  public func copy(_ source: Tensor, into destination: Tensor) {
    precondition(
      source.count == destination.count && source.type == destination.type,
      "[copy] \(source.shape) of \(source.type) into \(destination.shape) of \(destination.type)")
    log("copy", reads: [source], writes: [destination])
  }

  public func flush() {}
  public func finish() {}

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] {
    modelled?.workspaceByteCounts(operation) ?? []
  }

  // MARK: The log

  /// Checks overlaps and writes a record.
  /// - Parameters:
  ///   - inPlace: the sources whose place a destination may take.
  ///   - updates: tensors that are read and written.
  ///   - workspace: the operation whose scratch memory the modelled device states.
  ///   - otherBytes: read besides `reads`.
  func log(
    _ operation: String, reads: [Tensor], inPlace: [Tensor] = [], updates: [Tensor] = [], writes: [Tensor], macs: Int = 0,
    workspace: WorkspaceOperation? = nil, otherBytes: Int = 0
  ) {
    let sources = reads.map { own($0.storage, operation) }
    let shareable = inPlace.map { own($0.storage, operation) }
    let destinations = (writes + updates).map { own($0.storage, operation) }
    for (index, destination) in destinations.enumerated() {
      for other in destinations[..<index] + sources where destination.overlaps(other) {
        let isAllowed =
          other.coincides(destination) && shareable.contains { $0.coincides(destination) }
          && !destinations[..<index].contains { $0.coincides(destination) }
        precondition(isAllowed, "[\(operation)] a destination overlaps a source or another destination")
      }
    }
    let borrowed = workspace.map(workspaceByteCounts) ?? []
    withExtendedLifetime(borrowed.map { DryBlock($0, pool) }) {}

    let output = (writes + updates).first?.shape ?? []
    let inputs = (reads + updates).map(\.shape.description).joined(separator: ", ")
    operations.append(
      OperationRecord(
        layer: layer, operation: operation, shapes: "\(inputs) → \(output)", output: output, macs: macs,
        bytes: (reads + writes + updates + updates).reduce(otherBytes) { $0 + $1.byteCount },
        convolution: workspace.flatMap { if case .convolution(let work) = $0 { work } else { nil } }))
  }

  private func own(_ storage: any Storage, _ operation: String) -> DryStorage {
    guard let storage = storage as? DryStorage, storage.block.pool === pool else {
      preconditionFailure("[\(operation)] a tensor of another backend")
    }
    return storage
  }
}

/// One operation of a dry run.
public struct OperationRecord: Hashable, Sendable {
  /// ``DryRunBackend/layer`` at the time.
  public let layer: String
  /// The operation's name in ``Backend``.
  public let operation: String
  /// For example `[128, 32, 32, 16], [3, 3, 16, 16] → [128, 32, 32, 16]`.
  public let shapes: String
  /// The shape of the first result.
  public let output: Shape
  /// Multiply-accumulates of convolutions and matrix products; 0 for the rest.
  public let macs: Int
  /// Bytes read and written if each tensor passes once, however often a device reads it.
  public let bytes: Int
  /// Which convolution it is; nil for other operations.
  public let convolution: ConvolutionWork?
}

private final class DryPool {
  var blocks: Pool<Void>
  init(granularity: Int) { blocks = Pool(granularity: granularity) }
}

/// A block of nothing, taken from the pool until the last reference to it is dropped.
private final class DryBlock {
  let pool: DryPool
  private let size: Int

  init(_ byteCount: Int, _ pool: DryPool) {
    self.pool = pool
    size = pool.blocks.take(byteCount) { _ in }.size
  }

  deinit { pool.blocks.put((), size: size) }
}

private final class DryStorage: Storage {
  let block: DryBlock
  let offset, byteCount: Int

  init(_ block: DryBlock, offset: Int, byteCount: Int) {
    self.block = block
    self.offset = offset
    self.byteCount = byteCount
  }

  func overlaps(_ other: DryStorage) -> Bool {
    block === other.block && offset < other.offset + other.byteCount && other.offset < offset + byteCount
  }

  func coincides(_ other: DryStorage) -> Bool {
    block === other.block && offset == other.offset && byteCount == other.byteCount
  }
}

private final class DryReadback: Readback {
  private let value: HostTensor
  init(value: HostTensor) { self.value = value }
  var isReady: Bool { true }
  func wait() -> HostTensor { value }
}
