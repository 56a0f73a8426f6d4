import Support

/// Table of colored cells as an SVG text, in the colors of ``ChartStyle``.
struct CellFigure {
  /// One cell.
  struct Cell {
    /// Row and column, counted from 0.
    let row, column: Int
    /// Strength of the color, 0 to 1.
    let shade: Double
    /// Number of the color; see ``ChartStyle``.
    let color: Int
    /// Text in the cell; empty for none.
    let label: String
    /// Text that a pointer over the cell shows.
    let tip: String
  }

  let title: String
  /// Names of the rows and of the columns. An empty name is not written.
  let rows, columns: [String]
  /// Names of the axes.
  let rowAxis, columnAxis: String
  let cells: [Cell]
  /// Width and height of a cell in pixels.
  var cellSize = (width: 44.0, height: 30.0)
  /// Whether the names of the columns are slanted, as long names are.
  var slantsColumns = true

  private static let longestName = 18
  private static let top = 44.0

  /// The picture as SVG 1.1, with a newline at its end.
  var svg: String {
    let (left, above) = (leftMargin, Self.top + columnHeight)
    let slant = slantsColumns ? 0.7 * columnHeight : 12
    let (width, height) = (
      left + cellSize.width * Double(columns.count) + slant, above + cellSize.height * Double(rows.count) + 12
    )
    var lines = [
      SVG.beginning("line-chart heat-map", width, height, title: title, style: "\(ChartStyle.text(.ofViewer))\(Self.style)"),
      SVG.label(title, "heading", 12, 24, anchor: "start"),
    ]
    lines += cells.flatMap { draw($0, left, above) }
    for (index, name) in rows.enumerated() where !name.isEmpty {
      lines.append(SVG.label(cut(name), "number", left - 8, above + cellSize.height * (Double(index) + 0.5) + 4, anchor: "end"))
    }
    for (index, name) in columns.enumerated() where !name.isEmpty {
      lines.append(columnName(cut(name), x: left + cellSize.width * (Double(index) + 0.5), y: above - 8))
    }
    lines.append(SVG.label("\(rowAxis) ↓", "name axis-name", 12, above - 8, anchor: "start"))
    lines.append(SVG.label("\(columnAxis) →", "name axis-name", 12, above - 26, anchor: "start"))
    return (lines + ["</svg>", ""]).joined(separator: "\n")
  }

  /// Width left of the cells: names of about seven pixels a letter.
  private var leftMargin: Double { max(7 * longest(rows + ["\(rowAxis) ↓", "\(columnAxis) →"]) + 24, 72) }

  private var columnHeight: Double { max(48, slantsColumns ? 5 * longest(columns) + 24 : 48) }

  private func longest(_ names: [String]) -> Double { Double(names.map { cut($0).count }.max() ?? 0) }

  private func cut(_ name: String) -> String {
    let text = printable(name)
    return text.count > Self.longestName ? text.prefix(Self.longestName - 1) + "…" : text
  }

  private func columnName(_ name: String, x: Double, y: Double) -> String {
    guard slantsColumns else { return SVG.label(name, "number", x, y) }
    return
      "<text class=\"number\" transform=\"translate(\(SVG.number(x)) \(SVG.number(y))) rotate(-45)\">\(SVG.escaped(name))</text>"
  }

  private func draw(_ cell: Cell, _ left: Double, _ above: Double) -> [String] {
    let (x, y) = (left + cellSize.width * Double(cell.column), above + cellSize.height * Double(cell.row))
    let shade = cell.shade.isFinite ? min(1, max(0, cell.shade)) : 0
    let area =
      "<rect class=\"cell color\(cell.color)\" fill-opacity=\"\(fixed(shade, 3))\" x=\"\(SVG.number(x + 0.5))\" "
      + "y=\"\(SVG.number(y + 0.5))\" width=\"\(SVG.number(cellSize.width - 1))\" height=\"\(SVG.number(cellSize.height - 1))\">"
      + "<title>\(SVG.escaped(cell.tip))</title></rect>"
    guard !cell.label.isEmpty else { return [area] }
    let name = shade > 0.7 ? "count strong" : "count"
    return [area, SVG.label(cell.label, name, x + cellSize.width / 2, y + cellSize.height / 2 + 4)]
  }

  private static let style = """
    .heat-map .cell { fill: currentColor; }
    .heat-map .count { font-size: 12px; pointer-events: none; }
    .heat-map .strong { fill: var(--chart-paper); }
    .heat-map .axis-name { font-size: 12px; }

    """
}
