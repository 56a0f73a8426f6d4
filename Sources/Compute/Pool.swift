/// Keeps released blocks of device memory for the next request, so that from the second training step on nothing is allocated.
///
/// The policy is separate from the memory it manages: an OpenCL backend pools `cl_mem`, the dry-run backend pools nothing
/// at all and learns the exact peak.
public struct Pool<Block> {
  private var free: [Int: [Block]] = [:]
  /// Requests are rounded up to this many bytes.
  public let granularity: Int
  public private(set) var use = MemoryUse()

  public init(granularity: Int) { self.granularity = granularity }

  /// The size of the block that a request of `byteCount` gets.
  public func blockSize(for byteCount: Int) -> Int { max(1, (byteCount + granularity - 1) / granularity) * granularity }

  /// Takes the smallest free block that fits and is at most an eighth too large, or makes one.
  /// - Returns: the block and its size.
  public mutating func take(_ byteCount: Int, make: (Int) throws -> Block) rethrows -> (block: Block, size: Int) {
    let wanted = blockSize(for: byteCount)
    let fitting = free.keys.filter { $0 >= wanted && $0 - wanted <= wanted / 8 }.min()
    let size = fitting ?? wanted
    let block: Block
    if fitting != nil, let reused = free[size]?.popLast() {
      if free[size]?.isEmpty == true { free[size] = nil }
      block = reused
    } else {
      block = try make(size)
      use.allocations += 1
      use.bytesHeld += size
      use.peakBytesHeld = max(use.peakBytesHeld, use.bytesHeld)
    }
    use.bytesInUse += size
    use.peakBytesInUse = max(use.peakBytesInUse, use.bytesInUse)
    return (block, size)
  }

  public mutating func put(_ block: Block, size: Int) {
    use.bytesInUse -= size
    free[size, default: []].append(block)
  }

  /// Gives every free block up; the caller destroys them.
  public mutating func drain() -> [Block] {
    let blocks = free.flatMap { size, blocks in
      use.bytesHeld -= size * blocks.count
      return blocks
    }
    free = [:]
    return blocks
  }
}

/// What a backend's memory pool has done so far, in bytes.
public struct MemoryUse: Hashable, Sendable {
  /// Blocks asked of the driver; constant from the second training step on.
  public var allocations = 0
  public var bytesHeld = 0
  public var peakBytesHeld = 0
  public var bytesInUse = 0
  public var peakBytesInUse = 0

  public init() {}
}
