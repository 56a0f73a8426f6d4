/// Memory from a driver in blocks that are cut into pieces, so that from the second training step on nothing is allocated.
///
/// A request gets the smallest gap that it fits into. Where there is none, the blocks that are wholly free are given up, and one
/// of their size together, or of the request's if that is more, takes their place. So the blocks grow together during the first
/// step, and what is held at the end is little more than what is in use at the peak.
///
/// The policy is separate from the memory it manages: an OpenCL backend pools `cl_mem`, the dry-run backend pools nothing
/// at all and learns the exact peak.
public struct Pool<Block> {
  /// A part of a block, on loan.
  public struct Piece {
    public let block: Block
    /// In bytes, multiples of the granularity.
    public let offset, size: Int
    fileprivate let number: Int
  }

  /// A free part of a block. No two of a block touch.
  private struct Gap {
    let number: Int
    var offset, size: Int
  }

  /// By number, in the order of their making.
  private var blocks: [Int: (block: Block, size: Int)] = [:]
  private var blocksMade = 0
  /// In the order of the blocks' numbers, and of their places within a block.
  private var gaps: [Gap] = []
  /// Requests are rounded up to this many bytes.
  public let granularity: Int
  /// Blocks do not grow together beyond this many bytes.
  public let largestBlock: Int
  public private(set) var use = MemoryUse()

  public init(granularity: Int, largestBlock: Int = .max) {
    self.granularity = granularity
    self.largestBlock = largestBlock
  }

  /// The size of the piece that a request of `byteCount` gets.
  public func size(for byteCount: Int) -> Int { max(1, (byteCount + granularity - 1) / granularity) * granularity }

  /// Takes a piece of the smallest gap that it fits into, or of a new block.
  /// - Parameter make: makes a block of so many bytes, after destroying those that are given up for it: it must not keep them.
  public mutating func take(
    _ byteCount: Int, make: (_ size: Int, _ givenUp: inout [(block: Block, size: Int)]) throws -> Block
  ) rethrows -> Piece {
    let size = size(for: byteCount)
    let index = try smallestGap(for: size) ?? grow(size, make)
    let gap = gaps[index]
    guard let block = blocks[gap.number]?.block else { preconditionFailure("[Pool] a gap in no block") }
    if gap.size == size {
      gaps.remove(at: index)
    } else {
      gaps[index] = Gap(number: gap.number, offset: gap.offset + size, size: gap.size - size)
    }
    use.bytesInUse += size
    use.peakBytesInUse = max(use.peakBytesInUse, use.bytesInUse)
    return Piece(block: block, offset: gap.offset, size: size, number: gap.number)
  }

  public mutating func put(_ piece: Piece) {
    use.bytesInUse -= piece.size
    var gap = Gap(number: piece.number, offset: piece.offset, size: piece.size)
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

  /// Gives every block up that nothing uses; the caller destroys them.
  public mutating func drain() -> [Block] { giveUp(atMost: .max).map(\.block) }

  /// Adds a block for a request of `size` bytes.
  /// - Returns: the index of its gap, the last.
  private mutating func grow(
    _ size: Int, _ make: (_ size: Int, _ givenUp: inout [(block: Block, size: Int)]) throws -> Block
  ) rethrows -> Int {
    var givenUp = giveUp(atMost: largestBlock)
    let size = max(size, givenUp.reduce(0) { $0 + $1.size })
    let block = try make(size, &givenUp)
    blocksMade += 1
    blocks[blocksMade] = (block, size)
    gaps.append(Gap(number: blocksMade, offset: 0, size: size))
    use.allocations += 1
    use.bytesHeld += size
    use.peakBytesHeld = max(use.peakBytesHeld, use.bytesHeld)
    return gaps.count - 1
  }

  /// Takes wholly free blocks out of the pool, first ones first, as long as they are not more than `limit` bytes together.
  private mutating func giveUp(atMost limit: Int) -> [(block: Block, size: Int)] {
    var (given, left): ([(block: Block, size: Int)], [Gap]) = ([], [])
    var byteCount = 0
    for gap in gaps {
      if let block = blocks[gap.number], block.size == gap.size, gap.size <= limit - byteCount {
        blocks[gap.number] = nil
        given.append(block)
        byteCount += gap.size
      } else {
        left.append(gap)
      }
    }
    gaps = left
    use.bytesHeld -= byteCount
    return given
  }

  /// The index of the smallest gap of at least `size` bytes, of equal ones the first.
  private func smallestGap(for size: Int) -> Int? {
    var best: Int?
    for (index, gap) in gaps.enumerated() where gap.size >= size {
      if gap.size == size { return index }
      if best.map({ gap.size < gaps[$0].size }) ?? true { best = index }
    }
    return best
  }

  /// The index of the first gap at or after the place of another.
  private func firstGap(notBefore gap: Gap) -> Int {
    var (low, high) = (0, gaps.count)
    while low < high {
      let middle = (low + high) / 2
      if (gaps[middle].number, gaps[middle].offset) < (gap.number, gap.offset) { low = middle + 1 } else { high = middle }
    }
    return low
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

  /// Of two pools together.
  public static func + (a: MemoryUse, b: MemoryUse) -> MemoryUse {
    var sum = a
    sum.allocations += b.allocations
    sum.bytesHeld += b.bytesHeld
    sum.peakBytesHeld += b.peakBytesHeld
    sum.bytesInUse += b.bytesInUse
    sum.peakBytesInUse += b.peakBytesInUse
    return sum
  }
}
