import Training

/// Lines of equal loss around the weights of networks, as SVG. All networks have the same levels.
struct ContourChart {
  private let picture: LandscapePicture
  private let levels: [Double]

  init(_ panels: [LandscapePanel], _ scale: LossScale) {
    picture = LandscapePicture(title: "Loss around the weights", panels: panels, scale: scale)
    levels = scale.levels
  }

  var svg: String {
    let steps = levels.indices.map { Double($0) / Double(max(1, levels.count - 1)) }
    // The brightest colors are hard to see on light paper, the darkest ones on dark paper.
    let colors = steps.map { (light: 0.85 * $0, dark: 0.25 + 0.75 * $0) }
    let rules = [".level { fill: none; stroke-width: 1.5; stroke-linejoin: round; }", ".center { stroke: var(--chart-ink); }"]
    return picture.svg("contours", rules: rules, "stroke", colors, picture.panels.indices.flatMap(panel) + legend)
  }

  private func panel(_ index: Int) -> [String] {
    let landscape = picture.panels[index].landscape
    let (left, top, side) = (picture.left(index), LandscapePicture.top, LandscapePicture.side)
    let offsets = landscape.offsets
    let step = side / Double(offsets.count - 1)
    let contours = Contours(side: offsets.count, values: picture.scale.positions(landscape))
    var lines = [
      "<rect class=\"axis\" x=\"\(SVG.number(left))\" y=\"\(SVG.number(top))\" width=\"\(SVG.number(side))\" "
        + "height=\"\(SVG.number(side))\"/>"
    ]
    // The first row has the smallest b, which stands at the bottom.
    for (number, level) in levels.enumerated() {
      for line in contours.lines(at: picture.scale.position(level)) {
        let points = line.map { (x: Optional(left + $0.x * step), y: Optional(top + side - $0.y * step)) }
        lines.append("<path class=\"level color\(number)\" d=\"\(SVG.path(points))\"/>")
      }
    }
    let (x, y) = (left + side / 2, top + side / 2)
    lines += [SVG.line("center", x - 5, y, x + 5, y), SVG.line("center", x, y - 5, x, y + 5)]
    let range = offsets[offsets.count - 1]
    for share in [-1, -0.5, 0, 0.5, 1] {
      lines.append(SVG.label(short(range * share), "number", x + side / 2 * share, top + side + 18))
      lines.append(SVG.label(short(range * share), "number", left - 8, y - side / 2 * share + 4, anchor: "end"))
    }
    lines.append(SVG.label("first direction", "name", x, top + side + 42))
    let middle = "\(SVG.number(left - 48)) \(SVG.number(y))"
    lines.append(
      "<text class=\"name\" text-anchor=\"middle\" transform=\"translate(\(middle)) rotate(-90)\">second direction</text>")
    return lines
  }

  /// Levels, the largest on top.
  private var legend: [String] {
    levels.enumerated().flatMap { number, level in
      let y = LandscapePicture.top + 10 + 20 * Double(levels.count - 1 - number)
      return [
        SVG.line("level color\(number)", picture.legendLeft, y, picture.legendLeft + 22, y),
        SVG.label(short(level, digits: 3), "number", picture.legendLeft + 28, y + 4, anchor: "start"),
      ]
    }
  }
}
