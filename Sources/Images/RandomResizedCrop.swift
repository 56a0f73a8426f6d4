import Compute
import Glibc

/// What images are trained on: a rectangle of random area, shape and place, resized to a square (Szegedy et al. 2014, section 6), and
/// mirrored half of the time. The distribution is that of torchvision's `RandomResizedCrop` and `RandomHorizontalFlip`.
public struct RandomResizedCrop: Hashable, Codable, Sendable {
  /// Pixels of the result's sides.
  public var size: Int
  /// The share of the image's area, uniform between these.
  public var scale: ClosedRange<Float>
  /// Width over height, its logarithm uniform between these.
  public var ratio: ClosedRange<Float>
  /// Whether half of the images are mirrored left to right.
  public var flip: Bool

  /// - Precondition: the size and the bounds are positive.
  public init(
    size: Int = 224, scale: ClosedRange<Float> = 0.08...1, ratio: ClosedRange<Float> = 3 / 4...4 / 3, flip: Bool = true
  ) {
    self.size = size
    self.scale = scale
    self.ratio = ratio
    self.flip = flip
    precondition(isPossible, "[RandomResizedCrop] \(size), \(scale), \(ratio)")
  }

  /// Whether the size and the bounds are positive, and the bounds finite.
  public var isPossible: Bool {
    size > 0 && [scale, ratio].allSatisfy { $0.lowerBound > 0 && $0.upperBound.isFinite }
  }

  /// What is cut out, and whether it is mirrored.
  public struct Draw: Hashable, Sendable {
    /// Of the whole image, as it is looked at.
    public let area: PixelArea
    /// Whether the result is mirrored left to right.
    public let isFlipped: Bool
  }

  /// Rectangles that are tried before the largest one of an allowed shape at the centre is taken.
  static let tries = 10
  private static let stream: UInt32 = 0x1A00_0001

  /// The draw for a sample in an epoch: a function of these three numbers and the image's size.
  public func draw(seed: UInt64, epoch: Int, sample: Int, height: Int, width: Int) -> Draw {
    var random = Philox(seed: seed, stream: Self.stream, index: UInt64(epoch) << 32 | UInt64(sample))
    let isFlipped = flip && random.below(2) == 1
    return Draw(area: area(&random, height: height, width: width), isFlipped: isFlipped)
  }

  private func area(_ random: inout Philox, height: Int, width: Int) -> PixelArea {
    func uniform(_ lower: Double, _ upper: Double) -> Double { lower + Double(random.uniform()) * (upper - lower) }
    let (narrowest, widest) = (Double(ratio.lowerBound), Double(ratio.upperBound))
    for _ in 0..<Self.tries {
      let target = Double(height * width) * uniform(Double(scale.lowerBound), Double(scale.upperBound))
      let shape = exp(uniform(log(narrowest), log(widest)))
      let w = Int((target * shape).squareRoot().rounded(.toNearestOrEven))
      let h = Int((target / shape).squareRoot().rounded(.toNearestOrEven))
      guard h > 0, h <= height, w > 0, w <= width else { continue }
      let (top, left) = (random.below(height - h + 1), random.below(width - w + 1))
      return PixelArea(top: top, left: left, height: h, width: w)
    }
    let shape = Double(width) / Double(height)
    let h = shape < narrowest ? Int((Double(width) / narrowest).rounded(.toNearestOrEven)) : height
    let w = shape > widest ? Int((Double(height) * widest).rounded(.toNearestOrEven)) : width
    return PixelArea(top: (height - h) / 2, left: (width - w) / 2, height: max(1, h), width: max(1, w))
  }
}

/// The random crops of one epoch.
public struct TrainingTransform: ImageTransform, Hashable {
  /// What is drawn.
  public let crop: RandomResizedCrop
  /// With a sample's number, these decide its draw.
  public let seed: UInt64
  /// Counted from 0.
  public let epoch: Int
  /// Whether JPEGs whose crop is at least twice as large as the result, along both sides, are decoded at a half, a quarter or an eighth
  /// of their size: much faster for large photographs. What comes out differs a little from a resize of the whole.
  public let decodesReduced: Bool

  public var height: Int { crop.size }
  public var width: Int { crop.size }

  /// - Parameter decodesReduced: false for exactly the resize of the whole image's pixels.
  public init(_ crop: RandomResizedCrop, seed: UInt64, epoch: Int, decodesReduced: Bool = true) {
    self.crop = crop
    self.seed = seed
    self.epoch = epoch
    self.decodesReduced = decodesReduced
  }

  public func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    let draw = crop.draw(seed: seed, epoch: epoch, sample: sample, height: image.height, width: image.width)
    let result = Resampled(height: crop.size, width: crop.size, isFlipped: draw.isFlipped)
    // The whole image's size at which the crop has that of the result.
    func least(_ whole: Int, _ part: Int) -> Int { (whole * crop.size + part - 1) / part }
    let minimum = (height: least(image.height, draw.area.height), width: least(image.width, draw.area.width))
    let decoded = try image.decoded(minimumSize: decodesReduced ? minimum : nil)
    if decoded.height == image.height && decoded.width == image.width {
      return decoded.resize(draw.area, nil, result, into: pixels)
    }
    let (top, height) = Self.scaled(draw.area.top, draw.area.height, by: decoded.height, over: image.height)
    let (left, width) = Self.scaled(draw.area.left, draw.area.width, by: decoded.width, over: image.width)
    let area = PixelArea(top: top.first, left: left.first, height: height, width: width)
    let box = SourceBox(top: top.begin, left: left.begin, bottom: top.end, right: left.end)
    decoded.resize(area, box, result, into: pixels)
  }

  /// An interval of a side of `whole` pixels on one of `part`: the first pixel that it touches, how many, and its ends from there on.
  private static func scaled(
    _ begin: Int, _ count: Int, by part: Int, over whole: Int
  ) -> ((first: Int, begin: Float, end: Float), Int) {
    let factor = Double(part) / Double(whole)
    let (begin, end) = (Double(begin) * factor, Double(begin + count) * factor)
    let first = Int(begin)
    let last = min(part, Int(end.rounded(.up)))
    return ((first, Float(begin - Double(first)), min(Float(end - Double(first)), Float(last - first))), last - first)
  }
}
