/// Source pixels that make up each pixel of a result along one axis, and their weights: a filter f, widened by the reduction so that
/// nothing aliases.
///
/// A result of n pixels from a source interval of length L has the scale s = L/n, and the filter is widened by r = max(s, 1): the pixel i,
/// whose centre lies at c = begin + (i + ½)s, is the weighted mean of the source pixels j around c by f((j + ½ − c)/r). Weights are
/// rounded to integers of 22 fractional bits, as Pillow does it, so that results are equal to the last bit.
struct ResamplingAxis {
  /// Fractional bits of the weights: 8 bits of a pixel and these leave 2 of 32 to spare.
  static let fractionBits = 32 - 8 - 2
  /// A weight is high·2^15 + low, halves that 16-bit multiplications take.
  static let lowBits = 15

  struct Tap {
    let low, high: Int16
  }

  struct Pixel {
    /// The first source pixel, and the index of its tap.
    let first, tap: Int
    let count: Int
  }

  private(set) var pixels: [Pixel] = []
  private(set) var taps: [Tap] = []

  /// - Parameters:
  ///   - sourceCount: pixels of the source, from 0 on; those beyond do not take part.
  ///   - begin: where the source interval begins, in pixels.
  ///   - end: where it ends, after `begin` and at most `sourceCount`.
  ///   - count: pixels of the whole result.
  ///   - window: those that are wanted.
  ///   - reversed: whether the wanted ones come last to first.
  init(
    _ interpolation: Interpolation, sourceCount: Int, begin: Float, end: Float, count: Int, window: Range<Int>,
    reversed: Bool = false
  ) {
    let scale = Double(end - begin) / Double(count)
    let support = max(scale, 1) * interpolation.support
    let inverse = 1 / max(scale, 1)
    pixels.reserveCapacity(window.count)
    taps.reserveCapacity(window.count * (2 * Int(support) + 2))
    for offset in 0..<window.count {
      let index = reversed ? window.upperBound - 1 - offset : window.lowerBound + offset
      let centre = Double(begin) + (Double(index) + 0.5) * scale
      let first = max(0, Int(centre - support + 0.5))
      let last = min(sourceCount, Int(centre + support + 0.5))
      let weights = (first..<last).map { interpolation.weight(at: (Double($0) - centre + 0.5) * inverse) }
      let sum = weights.reduce(0, +)
      pixels.append(Pixel(first: first, tap: taps.count, count: weights.count))
      for weight in weights {
        // Rounds to the nearest integer, halves away from zero.
        let fixed = Int(weight / sum * Double(1 << Self.fractionBits) + (weight < 0 ? -0.5 : 0.5))
        taps.append(Tap(low: Int16(fixed & (1 << Self.lowBits - 1)), high: Int16(fixed >> Self.lowBits)))
      }
    }
  }

  /// The source pixels that take part at all.
  var sourceRange: Range<Int> {
    let first = pixels.map(\.first).min() ?? 0
    return first..<(pixels.map { $0.first + $0.count }.max() ?? first)
  }
}
