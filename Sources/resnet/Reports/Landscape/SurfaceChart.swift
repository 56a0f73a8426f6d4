import Foundation
import Training

/// Losses around the weights of networks as surfaces, as SVG: an isometric projection, in which near faces cover far ones. All
/// networks have the same logarithmic scale.
struct SurfaceChart {
  private let picture: LandscapePicture

  /// Number of colors.
  private static let colors = 24
  /// Height of the largest loss, and width and depth of the ground in pixels.
  private static let (height, width) = (150.0, LandscapePicture.side)
  private static let depth = width * tan(Double.pi / 6)

  init(_ panels: [LandscapePanel], _ scale: LossScale) {
    picture = LandscapePicture(title: "Loss around the weights", panels: panels, scale: scale)
  }

  var svg: String {
    let colors = (0..<Self.colors).map { Double($0) / Double(Self.colors - 1) }.map { (light: $0, dark: $0) }
    let rules = [".face { stroke: var(--chart-paper); stroke-width: 0.5; stroke-linejoin: round; }"]
    return picture.svg("surface", rules: rules, "fill", colors, picture.panels.indices.flatMap(panel) + legend)
  }

  /// Draws the faces between four neighboring points, the farthest first.
  private func panel(_ index: Int) -> [String] {
    let landscape = picture.panels[index].landscape
    let (side, positions) = (landscape.offsets.count, picture.scale.positions(landscape))
    // The axes run from the farthest point, the first one, to the right and to the left.
    func place(_ row: Int, _ column: Int) -> (x: Double?, y: Double?) {
      let (u, v) = (Double(column) / Double(side - 1), Double(row) / Double(side - 1))
      return (
        x: picture.left(index) + Self.width / 2 * (1 + u - v),
        y: LandscapePicture.top + Self.depth / 2 * (u + v) + Self.height * (1 - positions[row * side + column])
      )
    }
    let cells = (0..<side - 1).flatMap { row in (0..<side - 1).map { (row: row, column: $0) } }
    let ordered = cells.sorted { ($0.row + $0.column, $0.row) < ($1.row + $1.column, $1.row) }
    return ordered.map { row, column in
      let corners = [(row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column)]
      let mean = corners.reduce(0) { $0 + positions[$1.0 * side + $1.1] } / 4
      let path = SVG.path(corners.map { place($0.0, $0.1) })
      return "<path class=\"face color\(Self.color(mean))\" d=\"\(path) Z\"/>"
    }
  }

  private static func color(_ position: Double) -> Int { min(colors - 1, Int(position * Double(colors))) }

  /// Bar of all colors, with round losses beside it.
  private var legend: [String] {
    let (left, top, length) = (picture.legendLeft, LandscapePicture.top, LandscapePicture.side - 20)
    let part = length / Double(Self.colors)
    let bar = (0..<Self.colors).map { number in
      "<rect class=\"color\(number)\" x=\"\(SVG.number(left))\" y=\"\(SVG.number(top + length - part * Double(number + 1)))\" "
        + "width=\"16\" height=\"\(SVG.number(part + 0.3))\"/>"
    }
    return bar
      + picture.scale.levels.map { level in
        SVG.label(
          short(level, digits: 3), "number", left + 22, top + length * (1 - picture.scale.position(level)) + 4, anchor: "start")
      }
  }
}
