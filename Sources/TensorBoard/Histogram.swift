/// Distribution of values: their number in each of 64 ranges of equal width, and their moments.
public struct Histogram: Hashable, Sendable {
  /// Smallest and largest value; 0 if there are none.
  public let minimum, maximum: Double
  /// Number, sum, and sum of the squares of the values.
  public let count, sum, sumOfSquares: Double
  /// Upper ends of the ranges, and the number of values in each. A value at an end belongs to the range above it, except the
  /// largest.
  public let limits, counts: [Double]

  /// Number of ranges. TensorBoard shows 30.
  private static let ranges = 64

  /// Counts values. Those that are not finite are left out.
  public init(_ values: some Collection<Float>) {
    let finite = values.lazy.filter(\.isFinite)
    let (low, high) = (Double(finite.min() ?? 0), Double(finite.max() ?? 0))
    let width = (high - low) / Double(Self.ranges)
    let isSpread = width > 0
    var counts = [Double](repeating: 0, count: isSpread ? Self.ranges : 1)
    var (count, sum, sumOfSquares) = (0.0, 0.0, 0.0)
    for value in finite.lazy.map(Double.init) {
      counts[isSpread ? min(Self.ranges - 1, Int((value - low) / width)) : 0] += 1
      count += 1
      sum += value
      sumOfSquares += value * value
    }
    (minimum, maximum, self.counts) = (low, high, counts)
    (self.count, self.sum, self.sumOfSquares) = (count, sum, sumOfSquares)
    limits = (1...counts.count).map { $0 == counts.count ? high : low + width * Double($0) }
  }

  var message: Tensorboard_HistogramProto {
    .with {
      ($0.min, $0.max, $0.num, $0.sum, $0.sumSquares) = (minimum, maximum, count, sum, sumOfSquares)
      ($0.bucketLimit, $0.bucket) = (limits, counts)
    }
  }
}
