/// A memory pool. It cuts the blocks of a driver into pieces, so that nothing is allocated from the second training step on.
///
/// A request gets the smallest gap that it fits into. If there is none, the pool gives up the wholly free blocks and makes one
/// new block. The new block has the size of these blocks together, or of the request if that is more. In this way the blocks
/// merge during the first step, and at the end the pool holds little more memory than is in use at the peak.
///
/// The policy is separate from the memory it manages: an OpenCL backend pools `cl_mem`, while the dry-run backend pools no memory
/// at all and learns the exact peak.
public struct Pool<Block> {
  /// A part of a block that a caller has taken.
  public struct Piece {
    public let block: Block
    /// Position and size in bytes, multiples of the granularity.
    public let offset, size: Int
    fileprivate let number: Int
  }

  /// Blocks by number; they are numbered in the order of their creation.
  private var blocks: [Int: (block: Block, size: Int)] = [:]
  private var blocksMade = 0
  private var gaps = Gaps()
  /// Granularity in bytes, to which requests are rounded up.
  public let granularity: Int
  /// Size in bytes up to which blocks are merged.
  public let largestBlock: Int
  public private(set) var use = MemoryUse()

  public init(granularity: Int, largestBlock: Int = .max) {
    self.granularity = granularity
    self.largestBlock = largestBlock
  }

  /// Returns the size of the piece for a request of `byteCount` bytes.
  public func size(for byteCount: Int) -> Int { max(1, (byteCount + granularity - 1) / granularity) * granularity }

  /// Takes a piece of the smallest gap that it fits into, or of a new block.
  /// - Parameter make: makes a block of `size` bytes, after destroying the blocks in `givenUp`. It must not keep those.
  public mutating func take(
    _ byteCount: Int, make: (_ size: Int, _ givenUp: inout [(block: Block, size: Int)]) throws -> Block
  ) rethrows -> Piece {
    let size = size(for: byteCount)
    if let piece = piece(size) { return piece }
    try grow(size, make)
    guard let piece = piece(size) else { preconditionFailure("[Pool] the new block is smaller than the request") }
    return piece
  }

  /// Takes a piece of the smallest gap that it fits into.
  private mutating func piece(_ size: Int) -> Piece? {
    guard let gap = gaps.take(size) else { return nil }
    guard let block = blocks[gap.number]?.block else { preconditionFailure("[Pool] a gap in no block") }
    use.bytesInUse += size
    use.peakBytesInUse = max(use.peakBytesInUse, use.bytesInUse)
    use.largestPiece = max(use.largestPiece, size)
    return Piece(block: block, offset: gap.offset, size: size, number: gap.number)
  }

  public mutating func put(_ piece: Piece) {
    use.bytesInUse -= piece.size
    gaps.put(Gap(number: piece.number, offset: piece.offset, size: piece.size))
  }

  /// Removes every unused block from the pool and returns it; the caller destroys the blocks.
  public mutating func drain() -> [Block] { giveUp(atMost: .max).map(\.block) }

  /// Adds a block for a request of `size` bytes.
  private mutating func grow(
    _ size: Int, _ make: (_ size: Int, _ givenUp: inout [(block: Block, size: Int)]) throws -> Block
  ) rethrows {
    var givenUp = giveUp(atMost: largestBlock)
    let size = max(size, givenUp.reduce(0) { $0 + $1.size })
    let block = try make(size, &givenUp)
    blocksMade += 1
    blocks[blocksMade] = (block, size)
    gaps.put(Gap(number: blocksMade, offset: 0, size: size))
    use.allocations += 1
    use.bytesHeld += size
    use.peakBytesHeld = max(use.peakBytesHeld, use.bytesHeld)
  }

  /// Takes wholly free blocks out of the pool, lowest numbers first, as long as their total stays within `limit` bytes.
  private mutating func giveUp(atMost limit: Int) -> [(block: Block, size: Int)] {
    var given: [(block: Block, size: Int)] = []
    var byteCount = 0
    gaps.removeAll { gap in
      guard let block = blocks[gap.number], block.size == gap.size, gap.size <= limit - byteCount else { return false }
      blocks[gap.number] = nil
      given.append(block)
      byteCount += gap.size
      return true
    }
    use.bytesHeld -= byteCount
    return given
  }
}

/// A free part of a block. No two gaps of a block touch.
private struct Gap {
  let number: Int
  var offset, size: Int
}

/// The gaps of a pool, sorted by block number, then by offset within the block.
///
/// The type is not generic. Other modules use `Pool`, and generic code of another module runs unspecialized: the search through
/// thousands of gaps then takes 30 times as long.
private struct Gaps {
  private var gaps: [Gap] = []

  /// Takes `size` bytes from the start of the smallest gap that has them; of equal gaps, the first.
  /// - Returns: the part taken, or nil if no gap is large enough.
  mutating func take(_ size: Int) -> Gap? {
    guard let index = smallestGap(for: size) else { return nil }
    let gap = gaps[index]
    if gap.size == size {
      gaps.remove(at: index)
    } else {
      gaps[index] = Gap(number: gap.number, offset: gap.offset + size, size: gap.size - size)
    }
    return Gap(number: gap.number, offset: gap.offset, size: size)
  }

  /// Adds a gap and merges it with its neighbors.
  mutating func put(_ gap: Gap) {
    var gap = gap
    var index = firstGap(notBefore: gap)
    if index < gaps.count, gaps[index].number == gap.number, gaps[index].offset == gap.offset + gap.size {
      gap.size += gaps.remove(at: index).size
    }
    if index > 0, gaps[index - 1].number == gap.number, gaps[index - 1].offset + gaps[index - 1].size == gap.offset {
      index -= 1
      gap = Gap(number: gap.number, offset: gaps[index].offset, size: gaps[index].size + gap.size)
      gaps.remove(at: index)
    }
    gaps.insert(gap, at: index)
  }

  /// Removes the gaps for which `isRemoved` is true, which is called once for each gap, in order.
  mutating func removeAll(where isRemoved: (Gap) -> Bool) { gaps = gaps.filter { !isRemoved($0) } }

  /// Returns the index of the smallest gap of at least `size` bytes; of equal gaps, the first.
  private func smallestGap(for size: Int) -> Int? {
    var best: Int?
    for (index, gap) in gaps.enumerated() where gap.size >= size {
      if gap.size == size { return index }
      if best.map({ gap.size < gaps[$0].size }) ?? true { best = index }
    }
    return best
  }

  /// Returns the index of the first gap at or after the position of `gap`.
  private func firstGap(notBefore gap: Gap) -> Int {
    var (low, high) = (0, gaps.count)
    while low < high {
      let middle = (low + high) / 2
      if (gaps[middle].number, gaps[middle].offset) < (gap.number, gap.offset) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Statistics of a backend's memory pool so far; sizes are in bytes.
///
/// ```swift
/// print(backend.memory.peakBytesHeld, "of", backend.memoryLimit, "bytes")
/// ```
public struct MemoryUse: Hashable, Sendable {
  /// Number of blocks requested from the driver; constant from the second training step on.
  public var allocations = 0
  public var bytesHeld = 0
  public var peakBytesHeld = 0
  public var bytesInUse = 0
  public var peakBytesInUse = 0
  /// Size of the largest piece so far.
  public var largestPiece = 0

  public init() {}

  /// Adds the statistics of two pools.
  public static func + (a: MemoryUse, b: MemoryUse) -> MemoryUse {
    var sum = a
    sum.allocations += b.allocations
    sum.bytesHeld += b.bytesHeld
    sum.peakBytesHeld += b.peakBytesHeld
    sum.bytesInUse += b.bytesInUse
    sum.peakBytesInUse += b.peakBytesInUse
    sum.largestPiece = max(a.largestPiece, b.largestPiece)
    return sum
  }
}
