import Compute
import Testing

@Suite struct PoolTests {
  @Test func requestsAreRoundedUp() {
    let pool = Pool<Int>(granularity: 64)
    #expect([0, 1, 64, 65].map(pool.blockSize) == [64, 64, 64, 128])
  }

  @Test func releasedBlocksAreReused() {
    var pool = Pool<Int>(granularity: 64)
    var made: [Int] = []
    func take(_ byteCount: Int) -> (block: Int, size: Int) {
      pool.take(byteCount) {
        made.append($0)
        return made.count
      }
    }
    let (first, size) = take(1000)
    #expect(size == 1024)
    pool.put(first, size: size)
    #expect(take(1000).block == first)
    // The only block is taken.
    #expect(take(1000).block != first)
    #expect(made == [1024, 1024])
  }

  /// At most an eighth is wasted, and of two blocks that fit the smaller is taken.
  @Test func theSmallestFittingBlockIsTaken() {
    var pool = Pool<String>(granularity: 1)
    for size in [1200, 1125, 1050] {
      let taken = pool.take(size) { "\($0)" }
      #expect(taken.size == size)
    }
    for size in [1200, 1125, 1050] { pool.put("\(size)", size: size) }
    let make: (Int) -> String = { "new \($0)" }
    #expect(pool.take(1000, make: make) == ("1050", 1050))
    #expect(pool.take(1000, make: make) == ("1125", 1125))
    #expect(pool.take(1000, make: make) == ("new 1000", 1000))
    #expect(pool.take(1201, make: make) == ("new 1201", 1201))
  }

  @Test func useIsCounted() {
    var pool = Pool<Int>(granularity: 64)
    let a = pool.take(64) { $0 }
    let b = pool.take(640) { $0 }
    pool.put(a.block, size: a.size)
    pool.put(b.block, size: b.size)
    _ = pool.take(64) { $0 }
    #expect(pool.use.allocations == 2)
    #expect(pool.use.bytesHeld == 704)
    #expect(pool.use.bytesInUse == 64)
    #expect(pool.use.peakBytesInUse == 704)
    #expect(pool.drain() == [640])
    #expect(pool.use.bytesHeld == 64)
    #expect(pool.use.peakBytesHeld == 704)
  }

  @Test func aFailedAllocationCountsNothing() {
    struct OutOfMemory: Error {}
    var pool = Pool<Int>(granularity: 64)
    #expect(throws: OutOfMemory.self) { try pool.take(64) { _ in throw OutOfMemory() } }
    #expect(pool.use == MemoryUse())
  }
}
