import Compute
import OpenCL

/// The pool of one device's buffers. Storages keep it alive and give their buffer back when they go.
///
/// A buffer may be handed out again while commands that use it are still queued: the one queue is in order.
final class DeviceMemory {
  private let context: Context
  private let maxAllocation: Int
  /// Bytes that the pool may hold: the device's memory; where that is the machine's own, no more than is free.
  let limit: Int
  private var pool: Pool<Buffer>

  var use: MemoryUse { pool.use }

  init(context: Context, granularity: Int) throws(OpenCLError) {
    self.context = context
    pool = Pool(granularity: granularity)
    maxAllocation = try context.device.maxAllocation
    let memory = try context.device.globalMemory
    limit = try context.device.sharesHostMemory ? min(memory, HostMemory.available()) : memory
  }

  func allocate(byteCount: Int) throws -> DeviceStorage {
    let wanted = pool.blockSize(for: byteCount)
    guard wanted <= maxAllocation else {
      throw Failure(
        "a buffer of \(rounded(bytes: wanted)) is more than the device allows at once (\(rounded(bytes: maxAllocation))): "
          + "use a smaller --batch-size or --limit-train")
    }
    do { return try take(byteCount) } catch let error as Failure {
      // Free blocks of other sizes may stand in the way.
      if pool.drain().isEmpty { throw error }
      return try take(byteCount)
    }
  }

  private func take(_ byteCount: Int) throws -> DeviceStorage {
    let use = pool.use
    let (buffer, size) = try pool.take(byteCount) { size in
      guard size <= limit - use.bytesHeld else { throw Failure.outOfMemory(wanted: size, use, limit: limit) }
      do { return try Buffer(context: context, byteCount: size) } catch {
        throw Failure.outOfMemory(wanted: size, use, limit: limit, reason: "\(error)")
      }
    }
    return DeviceStorage(buffer: buffer, size: size, memory: self)
  }

  /// Gives every free block back to the driver.
  func drain() { _ = pool.drain() }

  fileprivate func release(_ buffer: Buffer, size: Int) { pool.put(buffer, size: size) }
}

/// A buffer on loan from the pool.
final class DeviceStorage: Storage {
  let buffer: Buffer
  var byteCount: Int { buffer.byteCount }
  private let size: Int
  private let memory: DeviceMemory

  fileprivate init(buffer: Buffer, size: Int, memory: DeviceMemory) {
    self.buffer = buffer
    self.size = size
    self.memory = memory
  }

  deinit { memory.release(buffer, size: size) }
}

/// A part of another storage.
final class DeviceSlice: Storage {
  let buffer: Buffer
  var byteCount: Int { buffer.byteCount }
  private let parent: DeviceStorage

  init(of parent: DeviceStorage, offset: Int, byteCount: Int) throws(OpenCLError) {
    buffer = try Buffer(of: parent.buffer, offset: offset, byteCount: byteCount)
    self.parent = parent
  }
}

extension Tensor {
  /// The device's memory behind the tensor.
  /// - Precondition: an OpenCL backend made it.
  var buffer: Buffer {
    switch storage {
    case let storage as DeviceStorage: storage.buffer
    case let slice as DeviceSlice: slice.buffer
    default: preconditionFailure("[OpenCLBackend] a tensor of another backend: \(shape)")
    }
  }
}

/// A read that was enqueued; owns the memory that it fills.
final class DeviceReadback: Readback {
  private let tensor: Tensor
  private let event: Event
  private let bytes: UnsafeMutableRawBufferPointer

  init(_ tensor: Tensor, queue: Queue) throws(OpenCLError) {
    self.tensor = tensor
    bytes = .allocate(byteCount: max(1, tensor.byteCount), alignment: 64)
    do { event = try queue.readAsynchronously(tensor.buffer, count: tensor.byteCount, into: bytes.baseAddress!) } catch {
      bytes.deallocate()
      throw error
    }
  }

  deinit {
    // The device may still write here. A command that failed has stopped writing too, so its error does not matter any more.
    do { try event.wait() } catch {}
    bytes.deallocate()
  }

  var isReady: Bool {
    do { return try event.isComplete } catch { return true }
  }

  func wait() throws -> HostTensor {
    try event.wait()
    return HostTensor(shape: tensor.shape, type: tensor.type, bytes: Array(bytes.prefix(tensor.byteCount)))
  }
}
