import Glibc
import Support

/// Random erasing: a rectangle of random area, shape and position becomes 0 after normalization, which is the mean color
/// (Zhang et al. 2017). The distribution is that of torchvision's `RandomErasing`.
///
/// ```swift
/// let erasing = RandomErasing(probability: 0.25)
/// ```
public struct RandomErasing: Hashable, Codable, Sendable {
  /// Share of the images that are changed.
  public var probability: Double

  /// Bounds of the rectangle's share of the image's area. The share is uniform between them.
  static let scale = 0.02...0.33
  /// Bounds of height over width. The logarithm of this ratio is uniform between their logarithms.
  static let ratio = 0.3...3.3
  /// Number of rectangles that are tried before the image is left unchanged.
  static let tries = 10

  /// - Parameter probability: in 0 ... 1.
  public init(probability: Double) { self.probability = probability }

  /// Returns the rectangle of a sample in an epoch: a function of the arguments; nil for none.
  public func draw(seed: UInt64, epoch: Int, sample: Int, height: Int, width: Int) -> PixelArea? {
    var random = Philox(seed: seed, stream: RandomStream.erasing, epoch: epoch, sample: sample)
    guard Double(random.uniform()) < probability else { return nil }
    for _ in 0..<Self.tries {
      let area = Double(height * width) * random.uniform(Self.scale.lowerBound, Self.scale.upperBound)
      let shape = exp(random.uniform(log(Self.ratio.lowerBound), log(Self.ratio.upperBound)))
      let h = Int((area * shape).squareRoot().rounded(.toNearestOrEven))
      let w = Int((area / shape).squareRoot().rounded(.toNearestOrEven))
      guard h < height, w < width else { continue }
      return PixelArea(top: random.below(height - h + 1), left: random.below(width - w + 1), height: h, width: w)
    }
    return nil
  }
}
