/// A device without memory or arithmetic. It checks every shape, logs every operation and learns the exact peak of the memory
/// pool, so that a model can be examined before anything is launched.
///
/// Tensors read as zeros. A shape, type or overlap that the protocol forbids stops the program, as on a real device.
public final class DryRunBackend: ShardBackend {
  public let scalar: DataType
  public let alignment: Int
  /// Operations logged so far, in order.
  public private(set) var operations: [OperationRecord] = []
  /// Layer name for the next records.
  public var layer = ""

  let modelled: (any Backend)?
  private let isLogging: Bool
  private let pool: DryPool

  /// - Parameters:
  ///   - isLogging: false to learn only the memory, in a fraction of the time; ``operations`` then stays empty.
  ///   - modelled: the device whose memory is predicted. It provides the element type, the alignment (which is also the
  ///     granularity of its pool), the largest block, and the workspaces of its operations. Without it, these are float32, 128
  ///     bytes, no limit, and no workspaces.
  public init(modelling modelled: (any Backend)? = nil, isLogging: Bool = true) {
    self.modelled = modelled
    self.isLogging = isLogging
    scalar = modelled?.scalar ?? .float32
    alignment = modelled?.alignment ?? 128
    pool = DryPool(granularity: alignment, largestBlock: modelled?.largestBlock ?? .max)
  }

  public var name: String { "dry run" }
  public var memory: MemoryUse { pool.blocks.use }
  /// No limit: the dry run also predicts the memory of models that do not fit on the modelled device.
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

  public func fill(_ tensor: Tensor, with value: Double) {
    log("fill", "\(tensor.shape)", reads: [], writes: [tensor]) { try $0.fill($1[0], with: value) }
  }

  public func copy(_ source: Tensor, into destination: Tensor) {
    precondition(
      source.count == destination.count && source.type == destination.type,
      "[copy] \(source.shape) of \(source.type) into \(destination.shape) of \(destination.type)")
    log("copy", "\(source.shape)", reads: [source], writes: [destination]) { try $0.copy($1[0], into: $1[1]) }
  }

  public func flush() {}
  public func finish() {}

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] {
    modelled?.workspaceByteCounts(operation) ?? []
  }

  // MARK: The log

  /// Checks overlaps and appends a record.
  /// - Parameters:
  ///   - detail: distinguishes this call from other calls of the operation.
  ///   - inPlace: sources whose memory a destination may take over.
  ///   - updates: tensors that are read and written.
  ///   - workspace: the operation whose scratch memory the modelled device reports.
  ///   - partly: sources of which only `bytes` bytes are read.
  ///   - integers: a value that is valid for all elements of integer operands.
  ///   - call: runs the operation on `reads`, `updates`, `writes` and the tensors in `partly`, in this order.
  func log(
    _ operation: String, _ detail: String, reads: [Tensor], inPlace: [Tensor] = [], updates: [Tensor] = [], writes: [Tensor],
    macs: Int = 0, workspace: WorkspaceOperation? = nil, partly: (tensors: [Tensor], bytes: Int) = ([], 0), integers: Int = 0,
    _ call: @escaping OperationRecord.Call
  ) {
    let isInPlace = pass(
      operation, reads: reads + partly.tensors, inPlace: inPlace, writes: writes + updates, workspace: workspace)
    guard isLogging else { return }
    let output = (writes + updates).first
    let inputs = (reads + updates).map(\.shape.description).joined(separator: ", ")
    let passed = reads + updates + updates + writes
    let tensors = reads + updates + writes + partly.tensors
    let storages = tensors.map { own($0.storage, operation) }
    operations.append(
      OperationRecord(
        layer: layer, operation: operation, detail: detail + (isInPlace ? ", in place" : ""),
        shapes: "\(inputs) → \(output?.shape ?? [])",
        output: output?.shape ?? [], outputBytes: output?.byteCount ?? 0, macs: macs,
        bytes: passed.reduce(partly.bytes) { $0 + $1.byteCount },
        updatedBytes: updates.reduce(0) { $0 + $1.byteCount },
        operands: tensors.indices.map { i in
          .init(
            shape: tensors[i].shape, type: tensors[i].type, place: storages[..<i].firstIndex { $0.coincides(storages[i]) })
        },
        integers: integers,
        convolution: workspace.flatMap { if case .convolution(let work) = $0 { work } else { nil } },
        call: call))
  }

  /// Checks overlaps and borrows the workspace.
  /// - Returns: whether a destination takes over a source's memory.
  @discardableResult
  func pass(
    _ operation: String, reads: [Tensor], inPlace: [Tensor] = [], writes: [Tensor], workspace: WorkspaceOperation?
  ) -> Bool {
    let sources = reads.map { own($0.storage, operation) }
    let shareable = inPlace.map { own($0.storage, operation) }
    let destinations = writes.map { own($0.storage, operation) }
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
    return destinations.contains { destination in sources.contains { $0.coincides(destination) } }
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
