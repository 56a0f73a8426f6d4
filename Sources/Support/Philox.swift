/// Philox4×32-10: a counter-based random number generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
/// 2011).
///
/// The numbers are a pure function of (key, counter). The draw for one sample therefore depends only on the sample's identity,
/// not on the order of work, the number of threads, or the backend.
///
/// ```swift
/// var random = Philox(seed: 1, stream: 0)
/// print(random.uniform(), random.below(10))
/// ```
public struct Philox: Sendable {
  private let key: (UInt32, UInt32)
  private var counter: (UInt32, UInt32, UInt32, UInt32)
  private var block: [UInt32] = []

  /// - Parameters:
  ///   - seed: the user's random seed.
  ///   - stream: separates the uses of one seed (weights, shuffling, augmentation).
  ///   - index: the position within the stream, for example a sample's index.
  public init(seed: UInt64, stream: UInt32, index: UInt64 = 0) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    counter = (0, stream, UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32))
  }

  /// Creates the generator for one sample, or for one batch, in one epoch.
  public init(seed: UInt64, stream: UInt32, epoch: Int, sample: Int) {
    self.init(seed: seed, stream: stream, index: UInt64(epoch) << 32 | UInt64(sample))
  }

  /// Runs the ten rounds of the cipher on one counter.
  static func rounds(
    _ counter: (UInt32, UInt32, UInt32, UInt32), key: (UInt32, UInt32)
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    var (c0, c1, c2, c3) = counter
    var (k0, k1) = key
    for _ in 0..<10 {
      let a = (0xD251_1F53 as UInt32).multipliedFullWidth(by: c0)
      let b = (0xCD9E_8D57 as UInt32).multipliedFullWidth(by: c2)
      (c0, c1, c2, c3) = (b.high ^ c1 ^ k0, b.low, a.high ^ c3 ^ k1, a.low)
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return (c0, c1, c2, c3)
  }
}

extension Philox: RandomNumberGenerator {
  /// Returns 64 random bits.
  public mutating func next() -> UInt64 { UInt64(nextWord()) << 32 | UInt64(nextWord()) }

  private mutating func nextWord() -> UInt32 {
    if block.isEmpty {
      let (a, b, c, d) = Self.rounds(counter, key: key)
      block = [d, c, b, a]
      counter.0 &+= 1
    }
    return block.removeLast()
  }

  /// Returns a number uniformly distributed in [0, 1), with 24 random bits.
  public mutating func uniform() -> Float { Float(nextWord() >> 8) * 0x1p-24 }

  /// Returns a number uniformly distributed in lower ..< upper, in 2^24 steps.
  public mutating func uniform(_ lower: Double, _ upper: Double) -> Double { lower + Double(uniform()) * (upper - lower) }

  /// Returns an integer uniformly distributed in 0 ..< bound. Lemire's multiply-shift with rejection gives the same result on
  /// every platform and Swift version.
  public mutating func below(_ bound: Int) -> Int {
    precondition(bound > 0 && bound <= UInt32.max, "[Philox] bound \(bound)")
    let range = UInt32(bound)
    let threshold = (0 &- range) % range
    while true {
      let product = nextWord().multipliedFullWidth(by: range)
      if product.low >= threshold { return Int(product.high) }
    }
  }
}
