import Compute
import Testing

@Suite struct PoolTests {
  /// A pool whose blocks have their sizes as names, and the calls to its driver.
  private struct Subject {
    var pool: Pool<String>
    var made: [Int] = []
    var destroyed: [String] = []

    init(granularity: Int = 1, largestBlock: Int = .max) {
      pool = Pool(granularity: granularity, largestBlock: largestBlock)
    }

    mutating func take(_ byteCount: Int) -> Pool<String>.Piece {
      var (made, destroyed) = (made, destroyed)
      defer { (self.made, self.destroyed) = (made, destroyed) }
      return pool.take(byteCount) { size, givenUp in
        destroyed += givenUp.map(\.block)
        made.append(size)
        return "\(size)"
      }
    }

    mutating func put(_ pieces: Pool<String>.Piece...) { for piece in pieces { pool.put(piece) } }
  }

  private func place(_ piece: Pool<String>.Piece) -> String { "\(piece.size) at \(piece.offset) of \(piece.block)" }

  @Test func theLargestPieceIsKnown() {
    var subject = Subject(granularity: 8)
    subject.put(subject.take(20), subject.take(3))
    #expect(subject.pool.use.largestPiece == 24)
    #expect((subject.pool.use + MemoryUse()).largestPiece == 24)
  }

  @Test func requestsAreRoundedUp() {
    let pool = Pool<Int>(granularity: 64)
    #expect([0, 1, 64, 65].map(pool.size) == [64, 64, 64, 128])
  }

  @Test func releasedBlocksAreReused() {
    var subject = Subject(granularity: 64)
    let first = subject.take(1000)
    #expect(place(first) == "1024 at 0 of 1024")
    subject.put(first)
    #expect(place(subject.take(1000)) == "1024 at 0 of 1024" && subject.made == [1024])
    // The only block is in use.
    _ = subject.take(1000)
    #expect(subject.made == [1024, 1024] && subject.destroyed.isEmpty)
  }

  /// Checks that pieces are cut from the smallest gap, and that adjacent gaps merge, whatever the order in which pieces return.
  @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
  func gapsAreCutAndMended(order: [Int]) {
    var subject = Subject()
    let (large, small) = (subject.take(100), subject.take(60))
    subject.put(large, small)
    let pieces = [20, 30, 10].map { subject.take($0) }
    #expect(pieces.map(place) == ["20 at 0 of 60", "30 at 20 of 60", "10 at 50 of 60"])
    #expect(place(subject.take(70)) == "70 at 0 of 100")
    for index in order { subject.put(pieces[index]) }
    #expect(place(subject.take(60)) == "60 at 0 of 60")
    #expect(subject.made == [100, 60])
  }

  @Test func freeBlocksGrowTogether() {
    var subject = Subject()
    let pieces = [10, 20, 30].map { subject.take($0) }
    subject.put(pieces[0], pieces[2])
    // No gap is large enough; the gaps of the block in use stay.
    #expect(place(subject.take(35)) == "35 at 0 of 40")
    #expect(subject.made == [10, 20, 30, 40] && subject.destroyed == ["10", "30"])
    #expect(subject.pool.use.bytesHeld == 60 && subject.pool.use.peakBytesHeld == 60)
    // This request is larger than all free blocks together.
    subject.put(pieces[1])
    #expect(place(subject.take(50)) == "50 at 0 of 50")
    #expect(subject.destroyed == ["10", "30", "20"] && subject.pool.use.bytesHeld == 90)
  }

  @Test func blocksGrowNoLargerThanTheDriverAllows() {
    var subject = Subject(largestBlock: 50)
    let pieces = [20, 25, 30].map { subject.take($0) }
    for piece in pieces { subject.put(piece) }
    #expect(place(subject.take(40)) == "40 at 0 of 45")
    #expect(subject.destroyed == ["20", "25"])
  }

  @Test func useIsCounted() {
    var subject = Subject(granularity: 64)
    let (a, b) = (subject.take(64), subject.take(640))
    subject.put(a, b)
    _ = subject.take(64)
    #expect(subject.pool.use.allocations == 2)
    #expect(subject.pool.use.bytesHeld == 704)
    #expect(subject.pool.use.bytesInUse == 64)
    #expect(subject.pool.use.peakBytesInUse == 704)
    #expect(subject.pool.drain() == ["640"])
    #expect(subject.pool.use.bytesHeld == 64)
    #expect(subject.pool.use.peakBytesHeld == 704)
  }

  @Test func aFailedAllocationCountsNothing() {
    struct OutOfMemory: Error {}
    var pool = Pool<Int>(granularity: 64)
    #expect(throws: OutOfMemory.self) { _ = try pool.take(64) { _, _ in throw OutOfMemory() } }
    #expect(pool.use == MemoryUse())
  }
}
