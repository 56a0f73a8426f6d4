import Support

/// Picture of charts side by side that share the y axis, with one legend below them, as an SVG text. It needs no other file, and
/// follows the light or dark colors of its viewer.
package struct ChartFigure: Sendable {
  package var title: String
  /// Charts from left to right. The y axis is that of the first one, with the values of all.
  package var panels: [LineChart]
  /// Width and height of each plot in pixels; nil for the usual ones.
  package var plotSize: (width: Double, height: Double)?

  package init(_ title: String, _ panels: [LineChart], plotSize: (width: Double, height: Double)? = nil) {
    (self.title, self.panels, self.plotSize) = (title, panels, plotSize)
  }

  // MARK: Layout, in pixels

  /// Edges of the first plot, and what is right of the last plot and between two.
  private static let (left, right, gap) = (72.0, 24.0, 24.0)
  /// Height of what is below a plot.
  private static let below = 60.0
  /// Height of a row of the legend.
  private static let rowHeight = 20.0
  private var plotWidth: Double { plotSize?.width ?? (panels.count < 2 ? 624 : max(240, 840 / Double(panels.count))) }
  private var plotHeight: Double { plotSize?.height ?? 336 }
  private var width: Double {
    let count = Double(max(1, panels.count))
    return Self.left + count * plotWidth + (count - 1) * Self.gap + Self.right
  }
  /// Top edge of the plots: panels have titles of their own if there are several.
  private var top: Double { panels.count < 2 ? 44 : 66 }

  /// The picture as SVG 1.1, with a newline at its end.
  package func svg(_ colors: ChartStyle.Colors = .ofViewer) -> String {
    let keys = legend
    let rows = rows(of: keys)
    let height = top + plotHeight + Self.below + (rows.isEmpty ? 0 : Self.rowHeight * Double(rows.count) + 8)
    var lines = [
      SVG.beginning("line-chart", width, height, title: title, style: ChartStyle.text(colors)),
      SVG.label(title, "heading", Self.left, 26, anchor: "start"),
    ]
    let y = ChartRuler(
      panels.first?.y ?? .init(""), panels.flatMap { $0.series.flatMap(\.values) }, length: plotHeight, isUpward: true)
    let numbers = Dictionary(uniqueKeysWithValues: keys.enumerated().map { ($1.name, $1.color ?? $0) })
    for (index, chart) in panels.enumerated() {
      let left = Self.left + Double(index) * (plotWidth + Self.gap)
      let x = ChartRuler(chart.x, chart.series.flatMap { $0.points.map(\.x) } + chart.marks.map(\.x), length: plotWidth)
      if panels.count > 1 { lines.append(SVG.label(chart.title, "name", left + plotWidth / 2, top - 10)) }
      let plot = ChartPlot(
        chart: chart, x: x, y: y, left: left, top: top, width: plotWidth, height: plotHeight, isFirst: index == 0,
        colors: numbers)
      lines += plot.elements
    }
    lines += draw(rows, numbers, from: top + plotHeight + Self.below + 4)
    return (lines + ["</svg>", ""]).joined(separator: "\n")
  }

  // MARK: Legend

  /// One series of each name, in the order of their first appearance.
  private var legend: [LineChart.Series] {
    var seen: Set<String> = []
    return panels.flatMap(\.series).filter { seen.insert($0.name).inserted }
  }

  /// Width of an entry of the legend. Letters have about seven pixels.
  private func width(of key: LineChart.Series) -> Double { 7 * Double(key.name.count) + 58 }

  /// Divides the entries into rows that fit the picture. A single series needs no legend.
  private func rows(of keys: [LineChart.Series]) -> [[LineChart.Series]] {
    guard keys.count > 1 else { return [] }
    var (rows, used) = ([[LineChart.Series]](), Double.infinity)
    for key in keys {
      let width = width(of: key)
      if used + width > self.width - Self.left {
        rows.append([])
        used = 0
      }
      rows[rows.count - 1].append(key)
      used += width
    }
    return rows
  }

  private func draw(_ rows: [[LineChart.Series]], _ numbers: [String: Int], from top: Double) -> [String] {
    rows.enumerated().flatMap { index, row in
      let y = top + Self.rowHeight * (Double(index) + 0.5)
      var x = Self.left
      return row.flatMap { key in
        defer { x += width(of: key) }
        let name = ChartPlot.classes(of: key, numbers)
        let dot =
          key.hasMarkers ? ["<circle class=\"dot \(name)\" cx=\"\(SVG.number(x + 13))\" cy=\"\(SVG.number(y))\" r=\"3\"/>"] : []
        return [SVG.line("curve \(name)", x, y, x + 26, y)] + dot + [
          SVG.label(key.name, "number", x + 34, y + 4, anchor: "start")
        ]
      }
    }
  }
}

extension LineChart.Series {
  /// All y values that have to be seen.
  fileprivate var values: [Double] { points.map(\.y) + band.flatMap { [$0.low, $0.high] } }
}
