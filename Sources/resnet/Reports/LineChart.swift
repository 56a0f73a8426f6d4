import Foundation
import Support

/// Picture of curves as an SVG text. It needs no other file, and follows the light or dark colors of its viewer.
package struct LineChart {
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

  /// One curve.
  package struct Series: Sendable {
    package var name: String
    /// Points from left to right. A value that is not finite, or not positive on a logarithmic axis, interrupts the curve.
    package var points: [(x: Double, y: Double)]
    /// Whether the curve stays in the background, as measured values do behind their average.
    package var isFaint: Bool

    package init(_ name: String, _ points: [(x: Double, y: Double)], isFaint: Bool = false) {
      (self.name, self.points, self.isFaint) = (name, points, isFaint)
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

  // MARK: Layout, in pixels

  private static let (width, height) = (720.0, 440.0)
  /// Edges of the plot in the picture.
  private static let (left, top) = (72.0, 44.0)
  private static let (plotWidth, plotHeight) = (width - left - 24, height - top - 60)

  /// The picture as SVG 1.1, with a newline at its end.
  package var svg: String {
    let (x, y) = (
      Ruler(x, series.flatMap { $0.points.map(\.x) } + marks.map(\.x), length: Self.plotWidth),
      Ruler(y, series.flatMap { $0.points.map(\.y) }, length: Self.plotHeight, isUpward: true)
    )
    let (width, height) = (Self.text(Self.width), Self.text(Self.height))
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"line-chart\" viewBox=\"0 0 \(width) \(height)\" width=\"\(width)\" "
        + "height=\"\(height)\" role=\"img\">",
      "<title>\(Self.escaped(title))</title>", "<style>\(Self.style)</style>",
      "<rect class=\"paper\" width=\"100%\" height=\"100%\"/>",
      Self.label(title, "heading", Self.left, 26, anchor: "start"),
    ]
    lines += axes(x, y)
    // A picture in the picture cuts off what lies outside it.
    lines.append(
      "<svg x=\"\(Self.text(Self.left))\" y=\"\(Self.text(Self.top))\" width=\"\(Self.text(Self.plotWidth))\" "
        + "height=\"\(Self.text(Self.plotHeight))\">")
    for (index, curve) in series.enumerated() {
      let path = Self.path(curve.points.map { (x.place($0.x), y.place($0.y)) })
      if !path.isEmpty { lines.append("<path class=\"curve \(Self.colors(index, curve))\" d=\"\(path)\"/>") }
    }
    for (index, mark) in marks.enumerated() { lines += draw(mark, index, x) }
    if series.count > 1 { lines += legend() }
    lines += ["</svg>", "</svg>", ""]
    return lines.joined(separator: "\n")
  }

  /// Draws the grid, the numbers and the labels of both axes.
  private func axes(_ x: Ruler, _ y: Ruler) -> [String] {
    let (right, bottom) = (Self.left + Self.plotWidth, Self.top + Self.plotHeight)
    var lines: [String] = []
    for tick in x.ticks {
      let place = Self.left + (x.place(tick) ?? 0)
      lines.append(Self.line("grid", place, Self.top, place, bottom))
      lines.append(Self.label(short(tick), "number", place, bottom + 18))
    }
    for tick in y.ticks {
      let place = Self.top + (y.place(tick) ?? 0)
      lines.append(Self.line("grid", Self.left, place, right, place))
      lines.append(Self.label(short(tick), "number", Self.left - 8, place + 4, anchor: "end"))
    }
    lines.append(Self.line("axis", Self.left, bottom, right, bottom))
    lines.append(Self.line("axis", Self.left, Self.top, Self.left, bottom))
    lines.append(Self.label(self.x.label, "name", Self.left + Self.plotWidth / 2, bottom + 44))
    let middle = Self.text(Self.top + Self.plotHeight / 2)
    lines.append(
      "<text class=\"name\" text-anchor=\"middle\" transform=\"translate(18 \(middle)) rotate(-90)\">"
        + "\(Self.escaped(self.y.label))</text>")
    return lines
  }

  private func draw(_ mark: Mark, _ index: Int, _ x: Ruler) -> [String] {
    guard let place = x.place(mark.x) else { return [] }
    // The text stays inside of the plot, and texts do not cover each other.
    let isLeft = place < Self.plotWidth / 2
    return [
      Self.line("mark", place, 0, place, Self.plotHeight),
      Self.label(
        mark.label, "name", place + (isLeft ? 6 : -6), Self.plotHeight - 10 - 18 * Double(index), anchor: isLeft ? "start" : "end"
      ),
    ]
  }

  private func legend() -> [String] {
    // Letters have about seven pixels. The background keeps the names readable over a curve.
    let width = 7 * Double(series.map(\.name.count).max() ?? 0) + 48
    let background =
      "<rect class=\"paper\" fill-opacity=\"0.85\" x=\"\(Self.text(Self.plotWidth - width))\" y=\"1\" "
      + "width=\"\(Self.text(width))\" height=\"\(18 * series.count + 4)\"/>"
    return [background]
      + series.enumerated().flatMap { index, curve in
        let y = 16 + 18 * Double(index)
        return [
          Self.line("curve \(Self.colors(index, curve))", Self.plotWidth - 28, y - 4, Self.plotWidth - 6, y - 4),
          Self.label(curve.name, "number", Self.plotWidth - 34, y, anchor: "end"),
        ]
      }
  }

  // MARK: Elements

  private static func colors(_ index: Int, _ curve: Series) -> String { "color\(index % 4)\(curve.isFaint ? " faint" : "")" }

  private static func line(_ name: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    "<line class=\"\(name)\" x1=\"\(text(x1))\" y1=\"\(text(y1))\" x2=\"\(text(x2))\" y2=\"\(text(y2))\"/>"
  }

  private static func label(_ words: String, _ name: String, _ x: Double, _ y: Double, anchor: String = "middle") -> String {
    "<text class=\"\(name)\" text-anchor=\"\(anchor)\" x=\"\(text(x))\" y=\"\(text(y))\">\(escaped(words))</text>"
  }

  /// Returns the commands of a path through the points; nil interrupts it.
  private static func path(_ points: [(x: Double?, y: Double?)]) -> String {
    var (commands, isDrawing): ([String], Bool) = ([], false)
    for (x, y) in points {
      guard let x, let y else {
        isDrawing = false
        continue
      }
      commands.append("\(isDrawing ? "L" : "M")\(text(x)) \(text(y))")
      isDrawing = true
    }
    return commands.joined(separator: " ")
  }

  /// Returns a coordinate with at most one digit after the point.
  private static func text(_ value: Double) -> String {
    let text = fixed(value, 1)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  /// Returns a text for XML, in which some characters have names and others are impossible.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in printable(text).unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static let style = """

    .line-chart { font: 13px system-ui, sans-serif; }
    .line-chart .paper { fill: #ffffff; }
    .line-chart text { fill: #222222; }
    .line-chart .heading { font-size: 15px; font-weight: 600; }
    .line-chart .number { font-size: 12px; fill: #555555; }
    .line-chart .grid { stroke: #e2e2e2; }
    .line-chart .axis { stroke: #777777; }
    .line-chart .mark { stroke: #777777; stroke-dasharray: 5 4; }
    .line-chart .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
    .line-chart .faint { stroke-width: 1; stroke-opacity: 0.5; }
    .line-chart .color0 { stroke: #0072b2; }
    .line-chart .color1 { stroke: #d55e00; }
    .line-chart .color2 { stroke: #007a5a; }
    .line-chart .color3 { stroke: #a8487d; }
    @media (prefers-color-scheme: dark) {
    .line-chart .paper { fill: #181a1f; }
    .line-chart text { fill: #e6e6e6; }
    .line-chart .number { fill: #b0b0b0; }
    .line-chart .grid { stroke: #33363d; }
    .line-chart .axis, .line-chart .mark { stroke: #999999; }
    .line-chart .color0 { stroke: #56b4e9; }
    .line-chart .color1 { stroke: #f0a04b; }
    .line-chart .color2 { stroke: #4fd1a5; }
    .line-chart .color3 { stroke: #e39fc6; }
    }

    """
}

/// Formats a number with few characters, for example `0.05` or `1e-5`.
func short(_ value: Double, digits: Int = 6) -> String {
  String(format: "%.\(digits)g", value).replacing("e-0", with: "e-").replacing("e+0", with: "e").replacing("e+", with: "e")
}

/// Places of values along one axis.
private struct Ruler {
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

  /// Returns powers of ten, ten at most, or of a short axis also their doubles and their fivefold.
  private static func logarithmicTicks(_ low: Double, _ high: Double) -> [Double] {
    let (first, last) = (low.rounded(.down), high.rounded(.up))
    let every = max(1, ((last - first) / 10).rounded(.up))
    let factors = high - low < 2 ? [1.0, 2, 5] : [1.0]
    return stride(from: first, through: last, by: every).flatMap { power in factors.map { $0 * pow(10, power) } }
      .filter { (low - 1e-9...high + 1e-9).contains(log10($0)) }
  }
}
