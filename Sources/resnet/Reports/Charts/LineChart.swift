import Foundation
import Support

/// Chart of curves over one pair of axes. A ``ChartFigure`` draws it, alone or beside others.
package struct LineChart: Sendable {
  package enum Scale: Sendable { case linear, logarithmic }

  /// One of the two axes.
  package struct Axis: Sendable {
    package var label: String
    package var scale: Scale
    /// Values at both ends; nil for those of the points. Curves are cut off there.
    package var range: ClosedRange<Double>?

    package init(_ label: String, _ scale: Scale = .linear, range: ClosedRange<Double>? = nil) {
      (self.label, self.scale, self.range) = (label, scale, range)
    }
  }

  /// One curve, with what surrounds it.
  package struct Series: Sendable {
    /// Name in the legend. Series of one name are one entry of it.
    package var name: String
    /// Points from left to right. A value that is not finite, or not positive on a logarithmic axis, interrupts the curve.
    package var points: [(x: Double, y: Double)]
    /// Band around the curve, for example between the lowest and the highest of several runs. It is interrupted as the curve is.
    package var band: [(x: Double, low: Double, high: Double)] = []
    /// Whether the curve stays in the background, as measured values do behind their average.
    package var isFaint: Bool
    /// Whether the curve is dashed.
    package var isDashed: Bool
    /// Whether each point has a dot.
    package var hasMarkers: Bool
    /// Number of the color; nil for the next free one. There are ``ChartStyle/colorCount`` colors, which repeat.
    package var color: Int?

    package init(
      _ name: String, _ points: [(x: Double, y: Double)], isFaint: Bool = false, isDashed: Bool = false, hasMarkers: Bool = false,
      color: Int? = nil
    ) {
      (self.name, self.points, self.isFaint) = (name, points, isFaint)
      (self.isDashed, self.hasMarkers, self.color) = (isDashed, hasMarkers, color)
    }

    /// A curve through the means of several runs, with a band from the lowest to the highest value where there are several.
    /// - Parameter runs: points of each run. Values of one x belong together.
    package init(_ name: String, meanOf runs: [[(x: Double, y: Double)]], isDashed: Bool = false, color: Int? = nil) {
      let groups = Dictionary(grouping: runs.joined()) { $0.x }.sorted { $0.key < $1.key }
      self.init(
        name, groups.map { ($0.key, $0.value.reduce(0) { $0 + $1.y } / Double($0.value.count)) }, isDashed: isDashed, color: color
      )
      guard runs.count > 1 else { return }
      band = groups.compactMap { x, points in
        let values = points.map(\.y)
        guard let low = values.min(), let high = values.max() else { return nil }
        return (x, low, high)
      }
    }
  }

  /// A vertical line with a text.
  package struct Mark: Sendable {
    package var x: Double
    package var label: String

    package init(_ x: Double, _ label: String) { (self.x, self.label) = (x, label) }
  }

  package var title: String
  package var x, y: Axis
  package var series: [Series]
  package var marks: [Mark]

  package init(_ title: String, x: Axis, y: Axis, _ series: [Series], marks: [Mark] = []) {
    (self.title, self.x, self.y, self.series, self.marks) = (title, x, y, series, marks)
  }

  /// The chart alone as SVG 1.1, with a newline at its end.
  package var svg: String { ChartFigure(title, [self]).svg() }
}

/// Formats a number with few characters, for example `0.05` or `1e-5`.
func short(_ value: Double, digits: Int = 6) -> String {
  String(format: "%.\(digits)g", value).replacing("e-0", with: "e-").replacing("e+0", with: "e").replacing("e+", with: "e")
}
