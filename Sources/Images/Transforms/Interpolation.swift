/// Methods of interpolation between pixels when an image is resized, with the names that Pillow and torchvision use.
///
/// ```swift
/// let recipe = EvaluationRecipe(cropFraction: 0.95, interpolation: .bicubic)
/// ```
public enum Interpolation: String, CaseIterable, Codable, Sendable {
  /// Triangle filter.
  case bilinear
  /// Cubic convolution (Keys 1981) with a = −½.
  case bicubic

  /// Radius of the filter in pixels.
  var support: Double {
    switch self {
    case .bilinear: 1
    case .bicubic: 2
    }
  }

  /// Returns the filter's value at a distance from its center. The terms are in Pillow's order, so that results are equal to
  /// the last bit.
  func weight(at distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    case .bilinear: return max(0, 1 - x)
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    }
  }
}
