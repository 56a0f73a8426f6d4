/// Source pixels of each result pixel along one axis, and their weights: a filter f, widened by the reduction to avoid
/// aliasing.
///
/// A result of n pixels from a source interval of length L has the scale s = L/n, and the filter is widened by r = max(s, 1).
/// The center of pixel i lies at c = begin + (i + ½)s. The pixel is the weighted mean of the source pixels j around c, with
/// the weights f((j + ½ − c)/r). Weights are rounded to integers with 22 fractional bits, as in Pillow, so that results are
/// equal to the last bit.
struct ResamplingAxis {
  /// Number of fractional bits of the weights. Together with the 8 bits of a pixel they leave 2 of 32 bits to spare.
  static let fractionBits = 32 - 8 - 2
  /// Number of bits of a weight's low half. A weight is high·2^15 + low; both halves fit 16-bit multiplications.
  static let lowBits = 15

  struct Tap {
    let low, high: Int16
  }

  struct Pixel {
    /// Index of the first source pixel, and index of its tap.
    let first, tap: Int
    let count: Int
  }

  private(set) var pixels: [Pixel] = []
  private(set) var taps: [Tap] = []

  /// - Parameters:
  ///   - sourceCount: number of source pixels, counted from 0. Pixels beyond them do not take part.
  ///   - begin: beginning of the source interval, in pixels.
  ///   - end: end of the source interval, after `begin` and at most `sourceCount`.
  ///   - count: number of pixels of the whole result.
  ///   - window: range of the result's pixels that are wanted.
  ///   - reversed: whether the wanted pixels come last to first.
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
      let center = Double(begin) + (Double(index) + 0.5) * scale
      let first = max(0, Int(center - support + 0.5))
      let last = min(sourceCount, Int(center + support + 0.5))
      let weights = (first..<last).map { interpolation.weight(at: (Double($0) - center + 0.5) * inverse) }
      let sum = weights.reduce(0, +)
      pixels.append(Pixel(first: first, tap: taps.count, count: weights.count))
      for weight in weights {
        // Rounds to the nearest integer, halves away from zero.
        let fixed = Int(weight / sum * Double(1 << Self.fractionBits) + (weight < 0 ? -0.5 : 0.5))
        taps.append(Tap(low: Int16(fixed & (1 << Self.lowBits - 1)), high: Int16(fixed >> Self.lowBits)))
      }
    }
  }

  /// Range of the source pixels that take part.
  var sourceRange: Range<Int> {
    let first = pixels.map(\.first).min() ?? 0
    return first..<(pixels.map { $0.first + $0.count }.max() ?? first)
  }
}
