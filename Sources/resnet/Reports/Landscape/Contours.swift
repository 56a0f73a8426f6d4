/// Lines of equal value on a grid, by marching squares (Maple 2003, "Geometric design and space planning using the marching
/// squares and marching cube algorithms"). Between two points of the grid, values are interpolated linearly.
package struct Contours {
  /// Place on the grid, in columns (x) and rows (y) from the first point.
  package struct Point: Hashable {
    package let x, y: Double
  }

  /// Number of points along each side.
  private let side: Int
  private let values: [Double]

  /// - Parameters:
  ///   - side: number of points along each side, at least 2.
  ///   - values: values, row by row, all finite.
  package init(side: Int, values: [Double]) { (self.side, self.values) = (side, values) }

  /// Edge between two neighboring points of the grid, from the point of `row` and `column` to the right or downward.
  private struct Edge: Hashable {
    let row, column: Int
    let isDown: Bool
  }

  /// Returns the lines of a level. Each ends at the border or where it began.
  package func lines(at level: Double) -> [[Point]] {
    var neighbors: [Edge: [Edge]] = [:]
    var order: [Edge] = []
    for row in 0..<side - 1 {
      for column in 0..<side - 1 {
        for (a, b) in segments(row, column, level) {
          for (from, to) in [(a, b), (b, a)] {
            if neighbors[from] == nil { order.append(from) }
            neighbors[from, default: []].append(to)
          }
        }
      }
    }
    var lines: [[Point]] = []
    var seen: Set<Edge> = []
    // Lines that end at the border come first, so that none begins in its middle.
    for start in order.filter({ neighbors[$0]?.count == 1 }) + order where seen.insert(start).inserted {
      var line = [start]
      while let next = neighbors[line[line.count - 1]]?.first(where: { !seen.contains($0) }) {
        seen.insert(next)
        line.append(next)
      }
      let isClosed = line.count > 2 && neighbors[start]?.contains(line[line.count - 1]) == true
      lines.append((isClosed ? line + [start] : line).map { point(on: $0, level) })
    }
    return lines
  }

  private func value(_ row: Int, _ column: Int) -> Double { values[row * side + column] }

  /// Segments of a level within the cell whose upper left point is given, each between two edges.
  private func segments(_ row: Int, _ column: Int, _ level: Double) -> [(Edge, Edge)] {
    let corners = [value(row, column), value(row, column + 1), value(row + 1, column + 1), value(row + 1, column)]
    let edges = [
      Edge(row: row, column: column, isDown: false), Edge(row: row, column: column + 1, isDown: true),
      Edge(row: row + 1, column: column, isDown: false), Edge(row: row, column: column, isDown: true),
    ]
    // Edge i lies between the corners i and i + 1.
    let crossed = (0..<4).filter { (corners[$0] >= level) != (corners[($0 + 1) % 4] >= level) }
    if crossed.count == 2 { return [(edges[crossed[0]], edges[crossed[1]])] }
    guard crossed.count == 4 else { return [] }
    // At a saddle, the mean decides which corners are connected.
    let isMiddleHigh = corners.reduce(0, +) / 4 >= level
    return isMiddleHigh == (corners[0] >= level)
      ? [(edges[0], edges[1]), (edges[2], edges[3])] : [(edges[3], edges[0]), (edges[1], edges[2])]
  }

  private func point(on edge: Edge, _ level: Double) -> Point {
    let (row, column) = (edge.row, edge.column)
    let (a, b) = (value(row, column), edge.isDown ? value(row + 1, column) : value(row, column + 1))
    let share = a == b ? 0.5 : (level - a) / (b - a)
    return Point(x: Double(column) + (edge.isDown ? 0 : share), y: Double(row) + (edge.isDown ? share : 0))
  }
}
