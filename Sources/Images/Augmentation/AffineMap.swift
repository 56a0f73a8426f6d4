import Glibc

/// Affine map from the pixels of a result to positions in the source, in fixed point as in Pillow's nearest-neighbor
/// `transform`: (x, y) of the source = (a·x + b·y + c, d·x + e·y + f), from pixel center to pixel center.
struct AffineMap {
  static let fractionBits = 16

  /// Position in the source.
  struct Place {
    var x, y: Int
  }

  private let first, acrossStep, downStep: Place

  private init(a: Double, b: Double, c: Double, d: Double, e: Double, f: Double) {
    func fixed(_ value: Double) -> Int { Int((value * Double(1 << Self.fractionBits) + 0.5).rounded(.down)) }
    acrossStep = Place(x: fixed(a), y: fixed(d))
    downStep = Place(x: fixed(b), y: fixed(e))
    first = Place(x: fixed(c + a * 0.5 + b * 0.5), y: fixed(f + d * 0.5 + e * 0.5))
  }

  /// Shears the image: the source of (x, y) is (x + slopeX·y, y + slopeY·x). The corner stays in place.
  init(slope slopeX: Double, _ slopeY: Double) { self.init(a: 1, b: slopeX, c: 0, d: slopeY, e: 1, f: 0) }

  /// Translates the image: the origin moves to (x, y).
  init(translation x: Int, _ y: Int) { self.init(a: 1, b: 0, c: -Double(x), d: 0, e: 1, f: -Double(y)) }

  /// Rotates the image counterclockwise around its center.
  init(rotation degrees: Double, height: Int, width: Int) {
    let angle = -degrees * .pi / 180
    // Rounds to 15 decimals, so that a quarter turn is exact.
    func rounded(_ value: Double) -> Double { (value * 1e15).rounded() / 1e15 }
    let (cosine, sine) = (rounded(cos(angle)), rounded(sin(angle)))
    let (x, y) = (Double(width) / 2, Double(height) / 2)
    self.init(
      a: cosine, b: sine, c: -x * cosine - y * sine + x, d: -sine, e: cosine, f: x * sine - y * cosine + y)
  }

  /// Calls `body` with the index of each row and the source position of its first pixel.
  func forEachRow(height: Int, _ body: (_ row: Int, _ begin: Place) -> Void) {
    for row in 0..<height { body(row, Place(x: first.x + row * downStep.x, y: first.y + row * downStep.y)) }
  }

  func right(of place: Place) -> Place { Place(x: place.x + acrossStep.x, y: place.y + acrossStep.y) }
}
