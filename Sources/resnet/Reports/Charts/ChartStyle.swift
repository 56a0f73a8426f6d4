/// Colors and lines of charts, as CSS.
package enum ChartStyle {
  /// Choice of the colors.
  package enum Colors: Sendable {
    /// Colors of the viewer, light or dark: CSS variables `--chart-…`, which a page around the picture may set, too.
    case ofViewer
    /// Light colors without variables, which not every program knows.
    case light
  }

  /// Number of colors for curves.
  package static let colorCount = Palette.curves.count

  private static let name = "line-chart"
  private static let colors = Palette.frame + Palette.curves
  private static let rules =
    Palette.rules + [
      ".grid { stroke: var(--chart-grid); }",
      ".mark { stroke: var(--chart-axis); stroke-dasharray: 5 4; }",
    ] + Palette.curves.map { ".\($0.name) { color: var(--chart-\($0.name)); }" } + [
      ".curve { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }",
      ".faint { stroke-width: 1; stroke-opacity: 0.5; }",
      ".dashed { stroke-dasharray: 6 4; }",
      ".dot { fill: currentColor; stroke: none; }",
      ".band { fill: currentColor; fill-opacity: 0.18; stroke: none; }",
    ]

  /// The style sheet of a chart.
  static func text(_ colors: Colors) -> String {
    guard colors == .light else { return Palette.sheet(name, Self.colors, rules) }
    let rules = rules.map { ".\(name) \($0)" }.joined(separator: "\n")
    return "\n" + Self.colors.reduce(rules) { $0.replacing("var(--chart-\($1.name))", with: $1.light) } + "\n"
  }
}
