import Compute
import Datasets
import Images
import Testing

@Suite struct EpochPlanTests {
  static func rows(_ plan: EpochPlan) -> [[Int32]] {
    let flat = plan.rows.elements(as: Int32.self)
    return (0..<plan.count).map { Array(flat[4 * $0..<4 * $0 + 4]) }
  }

  static func plan(seed: UInt64 = 1, epoch: Int = 0, count: Int = 1000, shuffle: Bool = true) -> EpochPlan {
    EpochPlan(seed: seed, epoch: epoch, count: count, shuffle: shuffle, augmentation: Augmentation())
  }

  @Test func sameSeedSameRows() {
    #expect(Self.plan().rows == Self.plan().rows)
    #expect(Self.plan().rows.shape == [1000, 4] && Self.plan().rows.type == .int32)
  }

  @Test func seedAndEpochChangeOrderAndDraws() {
    let first = Self.rows(Self.plan())
    for other in [Self.rows(Self.plan(seed: 2)), Self.rows(Self.plan(epoch: 1)), Self.rows(Self.plan(seed: 1 << 32 | 1))] {
      #expect(first.map { $0[0] } != other.map { $0[0] })
      let (draws, otherDraws) = (first.sorted { $0[0] < $1[0] }, other.sorted { $0[0] < $1[0] })
      let same = zip(draws, otherDraws).filter { $0 == $1 }.count
      // By chance one draw in 9·9·2 is the same.
      #expect(same < 30)
    }
  }

  @Test(arguments: [1, 2, 3, 17, 1000]) func everySampleOnce(_ count: Int) {
    for epoch in 0..<3 {
      #expect(Self.rows(Self.plan(epoch: epoch, count: count)).map { $0[0] }.sorted() == (0..<Int32(count)).map { $0 })
    }
  }

  @Test func aSamplesDrawIsItsOwn() {
    let large = Dictionary(uniqueKeysWithValues: Self.rows(Self.plan(count: 1000)).map { ($0[0], $0) })
    for row in Self.rows(Self.plan(count: 37)) { #expect(large[row[0]] == row) }
    for row in Self.rows(Self.plan(shuffle: false)) { #expect(large[row[0]] == row) }
  }

  @Test func inOrder() {
    #expect(Self.rows(EpochPlan(inOrder: 3)) == [[0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0]])
    #expect(Self.rows(Self.plan(count: 50, shuffle: false)).map { $0[0] } == Array(0..<50))
  }

  /// Checks that all orders of three samples are equally frequent: 6000 epochs, 1000 expected for each order, standard
  /// deviation 29.
  @Test func shufflesAreUniform() {
    var histogram: [[Int32]: Int] = [:]
    for epoch in 0..<6000 {
      let plan = EpochPlan(seed: 3, epoch: epoch, count: 3, shuffle: true, augmentation: nil)
      histogram[Self.rows(plan).map { $0[0] }, default: 0] += 1
    }
    #expect(histogram.count == 6)
    for count in histogram.values { #expect(abs(count - 1000) < 145) }
  }

  /// Has 9 offsets in each direction and 2 flips, 8100 samples: 900 expected for each, standard deviation 28; 4050 flips,
  /// deviation 45.
  @Test func drawsCoverTheirRangeEvenly() {
    let rows = Self.rows(Self.plan(count: 8100))
    for column in [1, 2] {
      var histogram: [Int32: Int] = [:]
      for row in rows { histogram[row[column], default: 0] += 1 }
      #expect(histogram.keys.sorted() == Array(-4...4))
      for count in histogram.values { #expect(abs(count - 900) < 140) }
    }
    #expect(Set(rows.map { $0[3] }) == [0, 1])
    #expect(abs(rows.filter { $0[3] == 1 }.count - 4050) < 225)
    #expect(Set(rows.map { Array($0[1...3]) }).count == 162)
  }

  @Test func withoutFlipOrPadding() {
    let still = Augmentation.none
    let shifted = Augmentation(crop: .padded(pixels: 4), flip: false)
    for sample in 0..<200 {
      #expect(still.draw(seed: 1, epoch: 2, sample: sample) == .none)
      let (draw, mirrored) = (
        shifted.draw(seed: 1, epoch: 2, sample: sample), Augmentation().draw(seed: 1, epoch: 2, sample: sample)
      )
      #expect(!draw.isFlipped && draw.top == mirrored.top && draw.left == mirrored.left)
    }
  }

  /// Has 2000 samples: 1000 are expected to be mirrored in the first epoch, standard deviation 22.
  @Test func alternatingFlipsShowBothFormsInTurn() {
    var augmentation = Augmentation()
    augmentation.flipRule = .alternate
    func draws(seed: UInt64 = 5, epoch: Int) -> [Augmentation.Draw] {
      (0..<2000).map { augmentation.draw(seed: seed, epoch: epoch, sample: $0) }
    }
    let first = draws(epoch: 0).map(\.isFlipped)
    #expect(abs(first.filter { $0 }.count - 1000) < 110)
    for epoch in 1..<5 {
      #expect(draws(epoch: epoch).map(\.isFlipped) == (epoch.isMultiple(of: 2) ? first : first.map { !$0 }))
    }
    #expect(zip(first, draws(seed: 6, epoch: 0)).filter { $0 == $1.isFlipped }.count < 1110)
    // The crops are those of random flips.
    for (sample, draw) in draws(epoch: 3).enumerated() {
      let random = Augmentation().draw(seed: 5, epoch: 3, sample: sample)
      #expect(draw.top == random.top && draw.left == random.left)
    }
    augmentation.flip = false
    #expect(draws(epoch: 1).allSatisfy { !$0.isFlipped })
  }

  @Test func batches() {
    let plan = EpochPlan(inOrder: 10)
    #expect(plan.batches(of: 5, keepShort: true) == [0..<5, 5..<10])
    #expect(plan.batches(of: 5, keepShort: false) == [0..<5, 5..<10])
    #expect(plan.batches(of: 4, keepShort: true) == [0..<4, 4..<8, 8..<10])
    #expect(plan.batches(of: 4, keepShort: false) == [0..<4, 4..<8])
    #expect(plan.batches(of: 16, keepShort: true) == [0..<10])
    #expect(plan.batches(of: 16, keepShort: false) == [0..<10])
    #expect(plan.rows(8..<10, height: 3, width: 3) == HostTensor([8, 0, 0, 0, 9, 0, 0, 0] as [Int32], shape: [2, 4]))
  }
}
