/// Colors of pictures and reports, for light and for dark paper.
enum Palette {
  /// A color with its name.
  struct Color {
    let name, light, dark: String

    init(_ name: String, _ light: String, _ dark: String) { (self.name, self.light, self.dark) = (name, light, dark) }
  }

  static let paper = Color("paper", "#ffffff", "#181a1f")
  static let ink = Color("ink", "#222222", "#e6e6e6")

  /// Colors of everything in a picture but its curves.
  static let frame = [
    paper, ink, Color("number", "#555555", "#b0b0b0"), Color("grid", "#e2e2e2", "#33363d"), Color("axis", "#777777", "#999999"),
  ]

  /// Colors of curves. They differ for the color-blind, too: the first four are close to those of Okabe and Ito 2008, darker on
  /// white and lighter on black.
  static let curves = [
    ("#0072b2", "#56b4e9"), ("#d55e00", "#f0a04b"), ("#007a5a", "#4fd1a5"), ("#a8487d", "#e39fc6"), ("#444444", "#d8d8d8"),
    ("#8c6d00", "#e6d23c"), ("#5b5bd6", "#a5a5ff"), ("#7a4a21", "#c49a6c"),
  ].enumerated().map { Color("color\($0)", $1.0, $1.1) }

  /// Rules for the parts that all pictures have.
  static let rules = [
    "{ font: 13px system-ui, sans-serif; }",
    ".paper { fill: var(--chart-paper); }",
    "text { fill: var(--chart-ink); }",
    ".heading { font-size: 15px; font-weight: 600; }",
    ".number { font-size: 12px; fill: var(--chart-number); }",
    ".axis { stroke: var(--chart-axis); fill: none; }",
  ]

  /// Returns CSS variables with the colors.
  /// - Parameter prefix: beginning of the variables' names, before the names of the colors.
  static func variables(_ colors: [Color], _ paper: KeyPath<Color, String>, prefix: String = "--chart-") -> String {
    colors.map { "\(prefix)\($0.name): \($0[keyPath: paper]);" }.joined(separator: " ")
  }

  /// Returns the style sheet of a picture that follows the light or dark colors of its viewer.
  /// - Parameters:
  ///   - name: class of the picture.
  ///   - rules: rules for elements of the picture.
  static func sheet(_ name: String, _ colors: [Color], _ rules: [String]) -> String {
    """

    .\(name) { \(variables(colors, \.light)) }
    @media (prefers-color-scheme: dark) { .\(name) { \(variables(colors, \.dark)) } }
    \(rules.map { ".\(name) \($0)" }.joined(separator: "\n"))

    """
  }
}
