/// Losses on a square grid of weights θ + a·δ + b·η around the weights θ of a network.
package struct LossLandscape: Sendable, Hashable {
  /// Values of a and of b, ascending, with 0 in the middle.
  package let offsets: [Double]
  /// Metrics at each point, row by row: a row has one b, and all a.
  package let points: [Metrics]

  package init(offsets: [Double], points: [Metrics]) {
    precondition(points.count == offsets.count * offsets.count, "[LossLandscape] \(points.count) of \(offsets.count)²")
    (self.offsets, self.points) = (offsets, points)
  }

  /// Metrics at b = `offsets[row]` and a = `offsets[column]`.
  package subscript(row: Int, column: Int) -> Metrics { points[row * offsets.count + column] }

  /// Metrics at the weights themselves.
  package var center: Metrics { points[points.count / 2] }

  /// Losses of the points, row by row.
  package var losses: [Double] { points.map(\.loss) }

  /// Returns `steps` values from −`range` to `range`; the middle one is exactly 0.
  /// - Precondition: `steps` is odd, and 3 at least.
  package static func offsets(steps: Int, range: Double) -> [Double] {
    precondition(steps >= 3 && !steps.isMultiple(of: 2), "[LossLandscape] \(steps) steps")
    return (0..<steps).map { range * Double(2 * $0 - (steps - 1)) / Double(steps - 1) }
  }
}
