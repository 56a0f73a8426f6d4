import Compute
import Support
import Testing

/// Returns the four words of a block, in order.
private func block(_ random: inout Philox) -> [UInt32] {
  (0..<2).flatMap { _ in
    let pair = random.next()
    return [UInt32(pair >> 32), UInt32(truncatingIfNeeded: pair)]
  }
}

@Suite struct PhiloxTests {
  /// Expects the first line of philox4x32-10 in the kat_vectors of Random123 1.14, and then the block of the next counter.
  @Test func knownAnswerOfZero() {
    var random = Philox(seed: 0, stream: 0)
    #expect(block(&random) == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8])
    #expect(block(&random) == [0xf8e4_cca4, 0x5cb2_00db, 0xb1a5_74eb, 0x097e_ff67])
  }

  /// Uses counter (0, stream, index) and key with the digits of π as in kat_vectors, and with all bits set. The expected
  /// words come from an implementation in another language that reproduces all of kat_vectors.
  @Test func everyWordOfCounterAndKeyCounts() {
    var digits = Philox(seed: 0x299f_31d0_a409_3822, stream: 0x85a3_08d3, index: 0x0370_7344_1319_8a2e)
    #expect(block(&digits) == [0x3f6d_24d7, 0x5291_08a0, 0xf8a3_7e29, 0xe7a9_b43b])
    #expect(block(&digits) == [0x14e0_a6ea, 0xbbea_52f1, 0x89a9_5d62, 0xe599_11d1])
    var ones = Philox(seed: .max, stream: .max, index: .max)
    #expect(block(&ones) == [0xf0c8_891a, 0xa25c_09bc, 0xaf8f_e7a5, 0x3166_1961])
  }

  @Test func streamsAndIndicesDiffer() {
    var first = Set<UInt64>()
    for seed in 0..<4 as Range<UInt64> {
      for stream in 0..<4 as Range<UInt32> {
        for index in 0..<4 as Range<UInt64> {
          var random = Philox(seed: seed, stream: stream, index: index)
          first.insert(random.next())
        }
      }
    }
    #expect(first.count == 64)
  }

  /// Checks the mean, 1/2, and the variance, 1/12, each within five standard errors for 100,000 draws.
  @Test func uniformFillsTheUnitInterval() {
    var random = Philox(seed: 7, stream: 0)
    let count = 100_000
    let values = (0..<count).map { _ in Double(random.uniform()) }
    let mean = values.reduce(0, +) / Double(count)
    let variance = values.reduce(0) { $0 + ($1 - 0.5) * ($1 - 0.5) } / Double(count)
    #expect(values.allSatisfy { 0 <= $0 && $0 < 1 })
    #expect(abs(mean - 0.5) < 5 * (1.0 / 12 / Double(count)).squareRoot())
    #expect(abs(variance - 1.0 / 12) < 5 * (1.0 / 180 / Double(count)).squareRoot())
  }

  /// Checks that all values are equally frequent: χ² with bound − 1 degrees of freedom, within five of its standard deviations.
  @Test(arguments: [1, 2, 3, 10, 17, 1000]) func belowIsUniform(bound: Int) {
    var random = Philox(seed: 7, stream: 1)
    let count = 100_000
    var counts = [Int](repeating: 0, count: bound)
    for _ in 0..<count { counts[random.below(bound)] += 1 }
    let expected = Double(count) / Double(bound)
    let chiSquare = counts.reduce(0) { $0 + (Double($1) - expected) * (Double($1) - expected) / expected }
    let degrees = Double(bound - 1)
    #expect(abs(chiSquare - degrees) <= 5 * (2 * degrees).squareRoot())
  }

  @Test func belowTakesLargeBounds() {
    var random = Philox(seed: 7, stream: 2)
    let bound = Int(UInt32.max)
    let values = (0..<1000).map { _ in random.below(bound) }
    #expect(values.allSatisfy { 0 <= $0 && $0 < bound })
    #expect(values.contains { $0 > bound / 4 * 3 })
  }
}
