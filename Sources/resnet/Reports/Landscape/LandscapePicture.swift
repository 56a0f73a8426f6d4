import Images
import Training

/// Landscape of one network in a picture.
struct LandscapePanel {
  let name: String
  let landscape: LossLandscape
}

/// Frame of the pictures of landscapes: panels side by side, a scale, and colors by the loss, for the light and the dark colors of
/// a viewer.
struct LandscapePicture {
  let title: String
  let panels: [LandscapePanel]
  let scale: LossScale

  // MARK: Layout, in pixels

  /// Side of a panel, and its distances from the left end of its part of the picture and from the top.
  static let (side, left, top) = (320.0, 64.0, 72.0)
  private static let (panelWidth, legendWidth, bottom) = (left + side + 12, 84.0, 56.0)

  /// Left end of a panel.
  func left(_ panel: Int) -> Double { Self.panelWidth * Double(panel) + Self.left }

  /// Left end of the legend.
  var legendLeft: Double { Self.panelWidth * Double(panels.count) + 12 }

  /// Returns the picture as SVG 1.1, with a newline at its end.
  /// - Parameters:
  ///   - name: class of the picture in style sheets.
  ///   - rules: rules for elements of the picture.
  ///   - property: property of elements that the colors set, `stroke` or `fill`.
  ///   - colors: places on the color map on light paper and on dark paper, for the classes `color0`, `color1` ….
  ///   - body: elements of all panels and of the legend.
  func svg(
    _ name: String, rules: [String], _ property: String, _ colors: [(light: Double, dark: Double)], _ body: [String]
  ) -> String {
    let (width, height) = (legendLeft + Self.legendWidth, Self.top + Self.side + Self.bottom)
    var lines = [
      SVG.beginning(name, width, height, title: title, style: Self.sheet(name, rules, property, colors)),
      SVG.label(title, "heading", Self.left, 26, anchor: "start"),
    ]
    for (index, panel) in panels.enumerated() {
      let caption = "\(panel.name), loss \(lossText(panel.landscape.center.loss))"
      lines.append(SVG.label(caption, "name", left(index) + Self.side / 2, Self.top - 12))
    }
    lines.append(SVG.label("loss", "name", legendLeft, Self.top - 12, anchor: "start"))
    return (lines + body + ["</svg>", ""]).joined(separator: "\n")
  }

  /// Returns a style sheet for one class of pictures.
  /// - Parameters:
  ///   - rules: rules for elements of the picture.
  ///   - colors: colors of the classes `color0`, `color1` …, as places on the color map on light paper and on dark paper.
  private static func sheet(
    _ name: String, _ rules: [String], _ property: String, _ colors: [(light: Double, dark: Double)]
  ) -> String {
    let levels = colors.enumerated().map {
      Palette.Color("color\($0)", ColorMap.viridis[$1.light].hex, ColorMap.viridis[$1.dark].hex)
    }
    let colored = levels.map { ".\($0.name) { \(property): var(--chart-\($0.name)); }" }
    return Palette.sheet(name, Palette.frame + levels, Palette.rules + rules + colored)
  }
}
