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
    var random = Philox(seed: seed, stream: Self.stream, epoch: epoch, sample: sample)
    let isFlipped = flip && random.below(2) == 1
    return Draw(area: area(&random, height: height, width: width), isFlipped: isFlipped)
  }

  private func area(_ random: inout Philox, height: Int, width: Int) -> PixelArea {
    let (narrowest, widest) = (Double(ratio.lowerBound), Double(ratio.upperBound))
    for _ in 0..<Self.tries {
      let target = Double(height * width) * random.uniform(Double(scale.lowerBound), Double(scale.upperBound))
      let shape = exp(random.uniform(log(narrowest), log(widest)))
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
    let reduction = decodesReduced ? image.reduction(keeping: minimum) : 1
    let decoded = try image.decoded(reduction: reduction)
    if reduction == 1 { return decoded.resize(draw.area, nil, result, into: pixels) }
    let rows = Interval(
      draw.area.top, draw.area.height, of: image.height, by: reduction, isMirrored: image.orientation.mirrorsRows)
    let columns = Interval(
      draw.area.left, draw.area.width, of: image.width, by: reduction, isMirrored: image.orientation.mirrorsColumns)
    let area = PixelArea(top: rows.first, left: columns.first, height: rows.count, width: columns.count)
    let box = SourceBox(top: rows.begin, left: columns.begin, bottom: rows.end, right: columns.end)
    decoded.resize(area, box, result, into: pixels)
  }

  /// A part of a side of an image that was decoded at a reduced size.
  private struct Interval {
    /// The first pixel that it touches, and how many it does.
    let first, count: Int
    /// Its ends, from the first pixel on.
    let begin, end: Float

    /// - Parameters:
    ///   - begin: the first of `count` pixels of a side of `whole`.
    ///   - reduction: how many of these a decoded pixel stands for; the last one stored, for what is left.
    ///   - isMirrored: whether the last one stored is the first to be seen.
    init(_ begin: Int, _ count: Int, of whole: Int, by reduction: Int, isMirrored: Bool) {
      let pixels = (whole + reduction - 1) / reduction
      let before = isMirrored ? pixels * reduction - whole : 0
      first = (before + begin) / reduction
      self.count = (before + begin + count + reduction - 1) / reduction - first
      self.begin = Float(before + begin - first * reduction) / Float(reduction)
      end = Float(before + begin + count - first * reduction) / Float(reduction)
    }
  }
}
