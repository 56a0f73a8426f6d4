import Compute
import Glibc
import Images

/// A rectangle of random area, shape and place becomes 0 after normalisation, which is the mean colour (Zhong et al. 2017). The
/// distribution is that of torchvision's `RandomErasing`.
public struct RandomErasing: Hashable, Codable, Sendable {
  /// The share of images that it happens to.
  public var probability: Double

  /// The share of the image's area, uniform between these.
  static let scale = 0.02...0.33
  /// Height over width, its logarithm uniform between these.
  static let ratio = 0.3...3.3
  /// Rectangles that are tried before the image is left alone.
  static let tries = 10

  /// - Parameter probability: in 0 ... 1.
  public init(probability: Double) { self.probability = probability }

  /// The rectangle of a sample in an epoch, a function of the numbers; nil for none.
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
