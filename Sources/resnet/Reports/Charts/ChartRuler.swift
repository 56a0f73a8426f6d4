import Foundation

/// Places of values along one axis.
struct ChartRuler {
  /// Values at which the axis has a number.
  let ticks: [Double]
  private let scale: LineChart.Scale
  /// Positions of both ends on the scale, and the length of the axis in pixels.
  private let low, high, length: Double
  private let isUpward: Bool

  init(_ axis: LineChart.Axis, _ values: [Double], length: Double, isUpward: Bool = false) {
    (scale, self.length, self.isUpward) = (axis.scale, length, isUpward)
    let ends = (axis.range.map { [$0.lowerBound, $0.upperBound] } ?? values).compactMap { Self.position($0, axis.scale) }
    var (low, high) = (ends.min() ?? 0, ends.max() ?? 1)
    // An axis has a length, even for a single value.
    if high - low <= max(abs(low), abs(high)) * 1e-9 {
      let margin = axis.scale == .linear ? max(abs(low) / 2, 0.5) : 0.5
      (low, high) = (low - margin, high + margin)
    }
    (self.low, self.high) = (low, high)
    ticks = axis.scale == .linear ? Self.linearTicks(low, high) : Self.logarithmicTicks(low, high)
  }

  /// Returns the place of a value in pixels from the left or the top end; nil if it has none.
  func place(_ value: Double) -> Double? {
    guard let position = Self.position(value, scale) else { return nil }
    let share = (position - low) / (high - low)
    // Far outside of the plot it does not matter how far.
    return min(10, max(-10, isUpward ? 1 - share : share)) * length
  }

  /// Returns the position on a scale; nil for a value that has none. Numbers too large for sums are left out.
  private static func position(_ value: Double, _ scale: LineChart.Scale) -> Double? {
    guard value.isFinite, abs(value) < 1e150 else { return nil }
    if scale == .linear { return value }
    return value > 0 ? log10(value) : nil
  }

  /// Returns about five multiples of 1, 2 or 5 times a power of ten.
  private static func linearTicks(_ low: Double, _ high: Double) -> [Double] {
    let rough = (high - low) / 5
    let power = pow(10, log10(rough).rounded(.down))
    let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough * 0.999 } ?? rough
    let first = (low / step - 1e-9).rounded(.up)
    return (0..<12).map { (first + Double($0)) * step }.filter { $0 <= high + step * 1e-9 }
  }

  /// Returns powers of ten, ten at most; of a short axis also their doubles and their fivefold. An axis with fewer than two of
  /// them has the numbers of a linear one.
  private static func logarithmicTicks(_ low: Double, _ high: Double) -> [Double] {
    let (first, last) = (low.rounded(.down), high.rounded(.up))
    let every = max(1, ((last - first) / 10).rounded(.up))
    let factors = high - low < 2 ? [1.0, 2, 5] : [1.0]
    let round = stride(from: first, through: last, by: every).flatMap { power in factors.map { $0 * pow(10, power) } }
      .filter { (low - 1e-9...high + 1e-9).contains(log10($0)) }
    return round.count < 2 ? linearTicks(pow(10, low), pow(10, high)) : round
  }
}
