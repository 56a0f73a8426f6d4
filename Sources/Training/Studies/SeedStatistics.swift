import Foundation

/// Figures of the same network from several seeds.
package struct Sample: Hashable, Sendable {
  package let values: [Double]

  package init(_ values: [Double]) { self.values = values }

  package var count: Int { values.count }
  /// Mean; NaN of no values.
  package var mean: Double { values.reduce(0, +) / Double(count) }
  /// Standard deviation with the divisor n − 1; nil for fewer than two values.
  package var deviation: Double? {
    count < 2 ? nil : (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count - 1)).squareRoot()
  }
}

/// Difference of the means of two samples, with its 95 % confidence interval (Welch 1947).
package struct MeanDifference: Hashable, Sendable {
  package enum Verdict: Hashable, Sendable {
    case higher, lower
    /// The interval contains zero.
    case notSeparable
    /// Nothing tells the spread: a sample has fewer than two values, or all values of both are the same.
    case spreadUnknown
  }

  /// Mean of the first sample minus that of the second.
  package let difference: Double
  /// Half the width of the interval; nil if it is not known.
  package let margin: Double?

  package init(_ a: Sample, minus b: Sample) {
    difference = a.mean - b.mean
    guard let first = a.deviation, let second = b.deviation else {
      margin = nil
      return
    }
    let (u, v) = (first * first / Double(a.count), second * second / Double(b.count))
    guard u + v > 0 else {
      margin = nil
      return
    }
    let freedom = (u + v) * (u + v) / (u * u / Double(a.count - 1) + v * v / Double(b.count - 1))
    margin = Self.quantile(freedom) * (u + v).squareRoot()
  }

  package var verdict: Verdict {
    guard let margin else { return .spreadUnknown }
    return abs(difference) > margin ? (difference > 0 ? .higher : .lower) : .notSeparable
  }

  /// 97.5 % quantiles of Student's distribution by degrees of freedom.
  private static let quantiles: [(freedom: Double, value: Double)] = [
    (1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (6, 2.447), (7, 2.365), (8, 2.306), (9, 2.262), (10, 2.228),
    (12, 2.179), (15, 2.131), (20, 2.086), (30, 2.042), (60, 2.000), (120, 1.980),
  ]

  /// Returns the quantile for at most these degrees of freedom, which is the larger one between two of the table.
  private static func quantile(_ freedom: Double) -> Double {
    quantiles.last { $0.freedom <= freedom * (1 + 1e-9) }?.value ?? quantiles[0].value
  }
}
