/// Colors and fonts of charts, as CSS.
package enum ChartStyle {
  /// Choice of the colors.
  package enum Colors: Sendable {
    /// Colors of the viewer, light or dark: CSS variables `--chart-…`, which a page around the picture may set, too.
    case ofViewer
    /// Light colors without variables, which not every program knows.
    case light
  }

  /// Number of colors for curves. They differ for the color-blind, too: the first four are close to those of Okabe and Ito 2008,
  /// darker on white and lighter on black.
  package static let colorCount = curves.count

  private static let curves = [
    ("#0072b2", "#56b4e9"), ("#d55e00", "#f0a04b"), ("#007a5a", "#4fd1a5"), ("#a8487d", "#e39fc6"), ("#444444", "#d8d8d8"),
    ("#8c6d00", "#e6d23c"), ("#5b5bd6", "#a5a5ff"), ("#7a4a21", "#c49a6c"),
  ]

  /// Names of the variables with their values, light and dark.
  private static let variables =
    [
      ("paper", "#ffffff", "#181a1f"), ("ink", "#222222", "#e6e6e6"), ("number", "#555555", "#b0b0b0"),
      ("grid", "#e2e2e2", "#33363d"), ("axis", "#777777", "#999999"),
    ] + curves.enumerated().map { ("color\($0)", $1.0, $1.1) }

  private static let rules =
    [
      "{ font: 13px system-ui, sans-serif; }",
      ".paper { fill: var(--chart-paper); }",
      "text { fill: var(--chart-ink); }",
      ".heading { font-size: 15px; font-weight: 600; }",
      ".number { font-size: 12px; fill: var(--chart-number); }",
      ".grid { stroke: var(--chart-grid); }",
      ".axis { stroke: var(--chart-axis); }",
      ".mark { stroke: var(--chart-axis); stroke-dasharray: 5 4; }",
    ] + curves.indices.map { ".color\($0) { color: var(--chart-color\($0)); }" } + [
      ".curve { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }",
      ".faint { stroke-width: 1; stroke-opacity: 0.5; }",
      ".dashed { stroke-dasharray: 6 4; }",
      ".dot { fill: currentColor; stroke: none; }",
      ".band { fill: currentColor; fill-opacity: 0.18; stroke: none; }",
    ]

  /// The style sheet of a chart.
  static func text(_ colors: Colors) -> String {
    let rules = rules.map { ".line-chart \($0)" }.joined(separator: "\n")
    switch colors {
    case .light: return "\n" + variables.reduce(rules) { $0.replacing("var(--chart-\($1.0))", with: $1.1) } + "\n"
    case .ofViewer:
      let light = variables.map { "--chart-\($0.0): \($0.1);" }.joined(separator: " ")
      let dark = variables.map { "--chart-\($0.0): \($0.2);" }.joined(separator: " ")
      return "\n.line-chart { \(light) }\n@media (prefers-color-scheme: dark) { .line-chart { \(dark) } }\n\(rules)\n"
    }
  }
}
