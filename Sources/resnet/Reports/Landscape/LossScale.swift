import Foundation
import Training

/// Common logarithmic scale of losses, so that several landscapes can be compared.
package struct LossScale {
  /// Smallest and largest loss that are told apart.
  package let low, high: Double

  /// Ratio of the largest to the smallest loss beyond which small losses are one.
  private static let largestRatio = 1e6

  /// - Parameter losses: losses of all landscapes. Those that are no finite numbers count as the largest one.
  package init(_ losses: [Double]) {
    let finite = losses.filter { $0.isFinite }
    let high = max(finite.max() ?? 1, .leastNormalMagnitude)
    let low = max(finite.min() ?? high, high / Self.largestRatio)
    // A scale has a length, even for a single value.
    (self.low, self.high) = low < high * (1 - 1e-6) ? (low, high) : (low / 2, high * 2)
  }

  /// Place of a loss, 0 for the smallest and 1 for the largest.
  package func position(_ loss: Double) -> Double {
    guard loss.isFinite else { return 1 }
    return min(1, max(0, log(max(loss, low) / low) / log(high / low)))
  }

  /// Positions of a landscape's points, row by row.
  func positions(_ landscape: LossLandscape) -> [Double] { landscape.losses.map(position) }

  /// Most levels of a picture.
  private static let mostLevels = 14

  /// Round losses between the smallest and the largest, ascending.
  package var levels: [Double] {
    // A level at an end would have no line.
    let range = low * (1 + 1e-9)..<high * (1 - 1e-9)
    let decades = Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))
    for digits in [[1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1.0]] {
      let found = decades.flatMap { decade in digits.map { $0 * pow(10, Double(decade)) } }.filter(range.contains)
      if found.count < 4 && digits.count == 10 { break }
      if found.count <= Self.mostLevels { return found }
    }
    // Losses that are near each other have no round numbers between them.
    return (1...8).map { low * pow(high / low, Double($0) / 9) }
  }
}
