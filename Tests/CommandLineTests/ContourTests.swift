import Foundation
import Testing
import resnet

/// Tests lines of equal value on a grid, and the scale of losses.
@Suite struct ContourTests {
  /// Returns values of a function on a grid of 21×21 points.
  private func contours(_ function: (_ x: Double, _ y: Double) -> Double) -> Contours {
    Contours(side: 21, values: (0..<21).flatMap { row in (0..<21).map { function(Double($0) - 10, Double(row) - 10) } })
  }

  @Test func linesOfAConeAreCircles() {
    let cone = contours { ($0 * $0 + $1 * $1).squareRoot() }
    for radius in [1.5, 4, 9.25] {
      let lines = cone.lines(at: radius)
      #expect(lines.count == 1 && lines[0].first == lines[0].last && lines[0].count > 8, "\(radius)")
      // Linear interpolation along an edge is off by an eighth of the second derivative, which is 1/radius at most.
      for point in lines[0] {
        let distance = ((point.x - 10) * (point.x - 10) + (point.y - 10) * (point.y - 10)).squareRoot()
        #expect(abs(distance - radius) <= 1 / (8 * (radius - 1)), "\(radius): \(point)")
      }
      #expect(Set(lines[0]).count == lines[0].count - 1)
    }
    // The border cuts a large circle into four arcs.
    let arcs = cone.lines(at: 12)
    #expect(arcs.count == 4 && arcs.allSatisfy { $0.first != $0.last })
    #expect(cone.lines(at: 20).isEmpty && cone.lines(at: -1).isEmpty)
  }

  @Test func linesOfAPlaneAreStraight() {
    let lines = contours { 2 * $0 + $1 }.lines(at: 1)
    #expect(lines.count == 1 && lines[0].allSatisfy { abs(2 * ($0.x - 10) + $0.y - 10 - 1) < 1e-9 })
    let ends = [lines[0].first, lines[0].last].compactMap { $0?.y }
    #expect(Set(ends) == [0, 20])
  }

  /// The lines of a saddle do not cross: which corners they separate depends on the mean of the cell.
  @Test func saddlesAreDivided() {
    for (level, separated) in [(0.4, 0), (0.6, 1)] {
      let lines = Contours(side: 2, values: [1, 0, 0, 1]).lines(at: level)
      #expect(lines.count == 2 && lines.allSatisfy { $0.count == 2 })
      // Below the mean, each line cuts off a low corner, otherwise a high one.
      for line in lines {
        let middle = (x: (line[0].x + line[1].x) / 2, y: (line[0].y + line[1].y) / 2)
        #expect(((middle.x < 0.5) == (middle.y < 0.5)) == (separated == 1), "\(level): \(line)")
      }
    }
  }

  @Test func levelsAreRound() {
    let scale = LossScale([0.3, 2.5, .nan, .infinity, 11])
    #expect(scale.position(0.3) == 0 && scale.position(11) == 1 && scale.position(.nan) == 1 && scale.position(0) == 0)
    #expect(scale.levels.map { ($0 * 1000).rounded() / 1000 } == [0.5, 0.7, 1, 2, 3, 5, 7, 10])
    #expect(abs(scale.position((0.3 * 11).squareRoot()) - 0.5) < 1e-12)
    // Losses that are alike have levels too, and a single loss has a scale.
    #expect(LossScale([2.31, 2.33]).levels.count == 8 && LossScale([2.31, 2.33]).levels.allSatisfy { $0 > 2.31 && $0 < 2.33 })
    #expect((0.4...0.6).contains(LossScale([1.7]).position(1.7)))
    let wide = LossScale([1e-12, 100]).levels.map { ($0 * 10_000).rounded() / 10_000 }
    #expect(wide == [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30])
  }
}
