import Compute
import Glibc
import Support

/// A piece of the pool, or a part of another storage, which it keeps alive.
final class CPUStorage: Storage {
  let byteCount: Int
  let base: UnsafeMutableRawPointer
  private let origin: Origin

  private enum Origin {
    case pool(BlockPool, BlockPool.Piece)
    case slice(of: CPUStorage)
  }

  init(byteCount: Int, pool: BlockPool) throws {
    self.byteCount = byteCount
    let piece = try pool.take(byteCount)
    base = piece.block + piece.offset
    origin = .pool(pool, piece)
  }

  init(byteCount: Int, at offset: Int, of parent: CPUStorage) {
    self.byteCount = byteCount
    base = parent.base + offset
    origin = .slice(of: parent)
  }

  deinit {
    if case .pool(let pool, let piece) = origin { pool.put(piece) }
  }
}

/// A pool that a backend shares with its storages, which may outlive the backend.
final class BlockPool {
  typealias Piece = Pool<UnsafeMutableRawPointer>.Piece

  private(set) var blocks: Pool<UnsafeMutableRawPointer>
  private let alignment: Int
  /// Upper bound of the memory of all blocks, in bytes.
  let limit: Int

  init(alignment: Int, limit: Int) {
    self.alignment = alignment
    self.limit = limit
    blocks = Pool(granularity: alignment)
  }

  func take(_ byteCount: Int) throws -> Piece {
    var use = blocks.use
    return try blocks.take(byteCount) { size, givenUp in
      for old in givenUp {
        free(old.block)
        use.bytesHeld -= old.size
      }
      guard size <= limit - use.bytesHeld else { throw Failure.outOfMemory(wanted: size, use, limit: limit) }
      var memory: UnsafeMutableRawPointer?
      let code = posix_memalign(&memory, alignment, size)
      guard let memory else {
        throw Failure.outOfMemory(wanted: size, use, limit: limit, reason: String(cString: strerror(code)))
      }
      return memory
    }
  }

  func put(_ piece: Piece) { blocks.put(piece) }

  deinit {
    for block in blocks.drain() { free(block) }
  }
}

func memoryBlock(of storage: any Storage) -> CPUStorage {
  guard let storage = storage as? CPUStorage else {
    preconditionFailure("[CPUBackend] a tensor of another backend, \(type(of: storage))")
  }
  return storage
}

/// Returns the elements of a tensor.
/// - Precondition: the tensor has this element type.
func pointer<T: CPUElement>(_ tensor: Tensor, to _: T.Type = T.self) -> UnsafeMutablePointer<T> {
  precondition(tensor.type == T.type, "[CPUBackend] \(tensor.shape) of \(tensor.type), not of \(T.type)")
  return memoryBlock(of: tensor.storage).base.assumingMemoryBound(to: T.self)
}
