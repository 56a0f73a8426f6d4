import Compute

/// A device without memory or arithmetic. It checks every shape, logs every operation and learns the exact peak of the memory
/// pool, so that a model can be examined before anything is launched.
///
/// Tensors read as zeros. A shape, type or overlap that the protocol forbids stops the program, as on a real device.
public final class DryRunBackend: ContractBackend, ShardBackend {
  public let scalar: DataType
  public let alignment: Int
  /// Operations logged so far, in order.
  public private(set) var operations: [OperationRecord] = []
  /// Layer name for the next records.
  public var layer = ""

  private let modeled: (any Backend)?
  private let isLogging: Bool
  private let pool: DryPool

  /// - Parameters:
  ///   - isLogging: false to learn only the memory, in a fraction of the time; ``operations`` then stays empty.
  ///   - modeled: the device whose memory is predicted. It provides the element type, the alignment (which is also the
  ///     granularity of its pool), the largest block, and the workspaces of its operations. Without it, these are float32, 128
  ///     bytes, no limit, and no workspaces.
  public init(modeling modeled: (any Backend)? = nil, isLogging: Bool = true) {
    self.modeled = modeled
    self.isLogging = isLogging
    scalar = modeled?.scalar ?? .float32
    alignment = modeled?.alignment ?? 128
    pool = DryPool(granularity: alignment, largestBlock: modeled?.largestBlock ?? .max)
  }

  public var name: String { "dry run" }
  public var memory: MemoryUse { pool.blocks.use }
  /// No limit: the dry run also predicts the memory of models that do not fit on the modeled device.
  public var memoryLimit: Int { .max }
  public var largestBlock: Int { pool.blocks.largestBlock }

  /// Totals of each kind of operation, sorted by name: calls, multiply-accumulates and bytes.
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

  public func flush() {}
  public func finish() {}

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] {
    modeled?.workspaceByteCounts(operation) ?? []
  }

  public func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    modeled?.plannedFilterCount(geometry, storage) ?? geometry.filter.count
  }

  // MARK: Operations

  /// Checks the call and its overlaps, borrows its workspace, and appends a record.
  public func perform(_ operation: OperationContract) {
    operation.check(scalar: scalar, acceptsHalf: true)
    let storages = operation.operands.map { own($0.tensor.storage, operation.name) }
    let isInPlace = checkOverlaps(operation, storages)
    let borrowed = operation.workspace.map(workspaceByteCounts) ?? []
    withExtendedLifetime(borrowed.map { DryBlock($0, pool) }) {}
    guard isLogging else { return }
    let places = storages.indices.map { i in storages[..<i].firstIndex { $0.coincides(storages[i]) } }
    operations.append(OperationRecord(operation, layer: layer, isInPlace: isInPlace, places: places))
  }

  /// Checks that no result overlaps another operand, except exactly one whose memory it may take over.
  /// - Returns: whether a result takes over a source's memory.
  private func checkOverlaps(_ operation: OperationContract, _ storages: [DryStorage]) -> Bool {
    var isInPlace = false
    for (index, result) in operation.operands.enumerated() where result.role != .read {
      for (other, operand) in operation.operands.enumerated() where storages[index].overlaps(storages[other]) {
        if operand.role != .read && other >= index { continue }
        precondition(
          operand.role == .read && storages[index].coincides(storages[other]) && result.replaces.contains(operand.name),
          "[\(operation.name)] \(result.name) overlaps \(operand.name)")
        isInPlace = true
      }
    }
    return isInPlace
  }

  private func own(_ storage: any Storage, _ operation: String) -> DryStorage {
    guard let storage = storage as? DryStorage, storage.block.pool === pool else {
      preconditionFailure("[\(operation)] a tensor of another backend")
    }
    return storage
  }
}

private final class DryPool {
  var blocks: Pool<Void>

  init(granularity: Int, largestBlock: Int) { blocks = Pool(granularity: granularity, largestBlock: largestBlock) }
}

/// A piece of a pool without memory. It returns to the pool when the last reference to it is dropped.
private final class DryBlock {
  let pool: DryPool
  private let piece: Pool<Void>.Piece

  init(_ byteCount: Int, _ pool: DryPool) {
    self.pool = pool
    piece = pool.blocks.take(byteCount) { _, _ in }
  }

  deinit { pool.blocks.put(piece) }
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

extension Backend {
  /// Returns a simulation of this backend without memory or arithmetic. It has as many ``Backend/devices``; each of them learns
  /// how much memory its counterpart needs.
  public func dryRun() -> any Backend { replacingDevices { DryRunBackend(modeling: $0, isLogging: false) } }
}
