import Support

/// One chart at its place in a picture: axes, bands, curves and marks.
struct ChartPlot {
  let chart: LineChart
  let x, y: ChartRuler
  /// Edges and size in the picture, in pixels.
  let left, top, width, height: Double
  /// Whether the y axis has its numbers and its name here.
  let isFirst: Bool
  /// Numbers of the colors by the names of the series.
  let colors: [String: Int]

  var elements: [String] {
    // A picture in the picture cuts off what lies outside it.
    let frame =
      "<svg x=\"\(SVG.number(left))\" y=\"\(SVG.number(top))\" width=\"\(SVG.number(width))\" height=\"\(SVG.number(height))\">"
    return axes + [frame] + chart.series.flatMap(band) + chart.series.flatMap(curve)
      + chart.marks.enumerated().flatMap { draw($1, $0) } + ["</svg>"]
  }

  /// Classes of a series: its color, and its manner.
  static func classes(of series: LineChart.Series, _ colors: [String: Int]) -> String {
    let number = (series.color ?? colors[series.name] ?? 0) % ChartStyle.colorCount
    return "color\(number)" + (series.isFaint ? " faint" : "") + (series.isDashed ? " dashed" : "")
  }

  /// Draws the grid, the numbers and the labels of both axes.
  private var axes: [String] {
    let (right, bottom) = (left + width, top + height)
    var lines: [String] = []
    for tick in x.ticks {
      let place = left + (x.place(tick) ?? 0)
      lines.append(SVG.line("grid", place, top, place, bottom))
      lines.append(SVG.label(short(tick), "number", place, bottom + 18))
    }
    for tick in y.ticks {
      let place = top + (y.place(tick) ?? 0)
      lines.append(SVG.line("grid", left, place, right, place))
      if isFirst { lines.append(SVG.label(short(tick), "number", left - 8, place + 4, anchor: "end")) }
    }
    lines.append(SVG.line("axis", left, bottom, right, bottom))
    lines.append(SVG.line("axis", left, top, left, bottom))
    lines.append(SVG.label(chart.x.label, "name", left + width / 2, bottom + 44))
    if isFirst {
      lines.append(
        "<text class=\"name\" text-anchor=\"middle\" transform=\"translate(18 \(SVG.number(top + height / 2))) rotate(-90)\">"
          + "\(SVG.escaped(chart.y.label))</text>")
    }
    return lines
  }

  private func curve(_ series: LineChart.Series) -> [String] {
    let name = Self.classes(of: series, colors)
    let points = series.points.map { (x: x.place($0.x), y: y.place($0.y)) }
    let path = SVG.path(points)
    guard !path.isEmpty else { return [] }
    let dots = points.compactMap { x, y -> String? in
      guard series.hasMarkers, let x, let y else { return nil }
      return "<circle class=\"dot \(name)\" cx=\"\(SVG.number(x))\" cy=\"\(SVG.number(y))\" r=\"3\"/>"
    }
    return ["<path class=\"curve \(name)\" d=\"\(path)\"/>"] + dots
  }

  /// Draws the band of a series: an area for each part of it without interruption.
  private func band(_ series: LineChart.Series) -> [String] {
    let places = series.band.map { (x: x.place($0.x), low: y.place($0.low), high: y.place($0.high)) }
    return places.split { $0.x == nil || $0.low == nil || $0.high == nil }.map { part in
      let outline = part.map { (x: $0.x, y: $0.high) } + part.reversed().map { (x: $0.x, y: $0.low) }
      return "<path class=\"band \(Self.classes(of: series, colors))\" d=\"\(SVG.path(outline)) Z\"/>"
    }
  }

  private func draw(_ mark: LineChart.Mark, _ index: Int) -> [String] {
    guard let place = x.place(mark.x) else { return [] }
    // The text stays inside of the plot, and texts do not cover each other.
    let isLeft = place < width / 2
    return [
      SVG.line("mark", place, 0, place, height),
      SVG.label(
        mark.label, "name", place + (isLeft ? 6 : -6), height - 10 - 18 * Double(index), anchor: isLeft ? "start" : "end"),
    ]
  }
}
