import Compute
import Glibc
import OpenCL
import Support

/// Pool of one device's buffers. Storages keep the pool alive and give their buffer back when they are released.
///
/// A buffer may be reused while commands that use it are still queued, because the only queue is in order.
final class DeviceMemory {
  private let queue: Queue
  /// Bytes that the pool may hold: the device's memory, or a part's share of it. If this is the machine's own memory, no more
  /// than is free. It falls to what the pool holds when the driver refuses more.
  private(set) var limit: Int
  /// Advice on how to raise the limit; nil if none is known.
  let advice: String?
  private var pool: Pool<Buffer>
  /// Whether every storage has its own buffer of exactly its size, so that memory checkers see where it ends. These buffers are
  /// not counted.
  private var isSeparate: Bool

  var use: MemoryUse { pool.use }
  var largestBlock: Int { pool.largestBlock }

  init(queue: Queue, granularity: Int, isSeparate: Bool) throws(OpenCLError) {
    self.queue = queue
    self.isSeparate = isSeparate
    let device = queue.context.device
    pool = Pool(granularity: granularity, largestBlock: try device.maxAllocation)
    let memory = try device.globalMemory
    let isHost = try DriverQuirk.compilerMemory.applies(to: device)
    advice = try WithheldMemory.advice(device) ?? (isHost ? DriverMemory.advice() : nil)
    limit = (isHost ? min(memory, DriverMemory.free()) : memory) / device.partsOfWhole
  }

  func allocate(byteCount: Int) throws -> DeviceStorage {
    let wanted = pool.size(for: byteCount)
    guard wanted <= largestBlock else {
      throw Failure(
        .outOfMemory,
        "a buffer of \(rounded(bytes: wanted)) is more than the device allows at once (\(rounded(bytes: largestBlock)))",
        remedy: "use a smaller \(Setting.batchSize) or \(Setting.limitTrain)\(advice.map { "; \($0)" } ?? "")")
    }
    if isSeparate { return DeviceStorage(try Buffer(context: queue.context, byteCount: max(1, byteCount))) }
    let piece: Pool<Buffer>.Piece
    do { piece = try take(byteCount) } catch is Failure {
      // The blocks that were released for one large block may be enough for a small one.
      piece = try take(byteCount)
    }
    do { return try DeviceStorage(piece, memory: self) } catch {
      pool.put(piece)
      throw error
    }
  }

  /// Runs `body`, which leaves the pool as it is: every storage gets its own buffer.
  func separately<Result>(_ body: () throws -> Result) rethrows -> Result {
    let wasSeparate = isSeparate
    isSeparate = true
    defer { isSeparate = wasSeparate }
    return try body()
  }

  private func take(_ byteCount: Int) throws -> Pool<Buffer>.Piece {
    var use = pool.use
    return try pool.take(byteCount) { size, givenUp in
      // The driver keeps a released buffer until the last command that uses it is done.
      if !givenUp.isEmpty { try queue.finish() }
      use.bytesHeld -= givenUp.reduce(0) { $0 + $1.size }
      givenUp = []
      guard size <= limit - use.bytesHeld else { throw Failure.outOfMemory(wanted: size, use, limit: limit, advice: advice) }
      do { return try Buffer(context: queue.context, byteCount: size) } catch {
        // A plan that is made now knows that there is no more.
        limit = min(limit, use.bytesHeld)
        throw Failure.outOfMemory(wanted: size, use, limit: limit, reason: "\(error)", advice: advice)
      }
    }
  }

  fileprivate func release(_ piece: Pool<Buffer>.Piece) { pool.put(piece) }

  /// Returns every free block to the driver.
  func drain() { _ = pool.drain() }
}

/// A piece of the pool's memory on loan, which is a buffer or a part of one; or a buffer outside any pool.
final class DeviceStorage: Storage {
  let buffer: Buffer
  var byteCount: Int { buffer.byteCount }
  private let loan: (piece: Pool<Buffer>.Piece, memory: DeviceMemory)?

  fileprivate init(_ piece: Pool<Buffer>.Piece, memory: DeviceMemory) throws(OpenCLError) {
    let isWhole = piece.size == piece.block.byteCount
    buffer = isWhole ? piece.block : try Buffer(of: piece.block, offset: piece.offset, byteCount: piece.size)
    loan = (piece, memory)
  }

  /// Wraps a buffer that belongs to no pool.
  init(_ buffer: Buffer) {
    self.buffer = buffer
    loan = nil
  }

  deinit {
    if let loan { loan.memory.release(loan.piece) }
  }
}

/// A part of another storage.
final class DeviceSlice: Storage {
  let buffer: Buffer
  var byteCount: Int { buffer.byteCount }
  private let parent: any Storage

  init(of parent: any Storage, offset: Int, byteCount: Int) throws(OpenCLError) {
    buffer = try Buffer(of: deviceBuffer(of: parent), offset: offset, byteCount: byteCount)
    self.parent = parent
  }
}

extension Tensor {
  /// Device memory of the tensor.
  /// - Precondition: the tensor was created by an OpenCL backend.
  var buffer: Buffer { deviceBuffer(of: storage) }
}

private func deviceBuffer(of storage: any Storage) -> Buffer {
  switch storage {
  case let storage as DeviceStorage: storage.buffer
  case let slice as DeviceSlice: slice.buffer
  default: preconditionFailure("[OpenCLBackend] a tensor of another backend, \(type(of: storage))")
  }
}

/// A read that was enqueued. Owns the memory that it fills.
final class DeviceReadback: Readback {
  private let tensor: Tensor
  private let event: Event
  private let bytes: UnsafeMutableRawBufferPointer

  init(_ tensor: Tensor, queue: Queue) throws(OpenCLError) {
    self.tensor = tensor
    bytes = Self.allocate(tensor.byteCount)
    do { event = try queue.readAsynchronously(tensor.buffer, count: tensor.byteCount, into: bytes.baseAddress!) } catch {
      bytes.deallocate()
      throw error
    }
  }

  deinit {
    // The device may still write to this memory. A failed command has stopped writing too, so its error no longer matters.
    do { try event.wait() } catch {}
    bytes.deallocate()
  }

  /// Size in bytes from which memory is prepared before the device writes to it.
  private static let large = 1 << 20

  /// Allocates memory for a copy.
  ///
  /// The pages of a large block are made here, while the device works. The copy would otherwise make them one by one while the device
  /// waits for it, which takes several times as long as the copy itself.
  private static func allocate(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    guard byteCount >= large else { return .allocate(byteCount: max(1, byteCount), alignment: 64) }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 1 << 21)
    // A system that refuses large pages makes small ones.
    madvise(bytes.baseAddress, byteCount, MADV_HUGEPAGE)
    for offset in stride(from: 0, to: byteCount, by: 4096) { bytes[offset] = 0 }
    return bytes
  }

  var isReady: Bool {
    do { return try event.isComplete } catch { return true }
  }

  func wait() throws -> HostTensor {
    try event.wait()
    return HostTensor(shape: tensor.shape, type: tensor.type, bytes: Array(bytes.prefix(tensor.byteCount)))
  }
}
