import Glibc
import Support

/// Random crop for training: a rectangle of random area, shape and position, resized to a square (Szegedy et al. 2014,
/// section 6), and mirrored half of the time. The distribution is that of torchvision's `RandomResizedCrop` and
/// `RandomHorizontalFlip`.
///
/// ```swift
/// let crop = RandomResizedCrop(size: 160, scale: 0.35...1)
/// ```
public struct RandomResizedCrop: Hashable, Codable, Sendable {
  /// Side of the result in pixels.
  public var size: Int
  /// Bounds of the crop's share of the image's area. The share is uniform between them.
  public var scale: ClosedRange<Float>
  /// Bounds of width over height. The logarithm of this ratio is uniform between their logarithms.
  public var ratio: ClosedRange<Float>
  /// Whether half of the images are mirrored left to right.
  public var flip: Bool
  /// Rule for the choice of the mirrored images, if ``flip`` is set; nil for a random choice in each epoch.
  public var flipRule: FlipRule?

  /// - Precondition: the size and the bounds are positive.
  public init(
    size: Int = 224, scale: ClosedRange<Float> = 0.08...1, ratio: ClosedRange<Float> = 3 / 4...4 / 3, flip: Bool = true,
    flipRule: FlipRule? = nil
  ) {
    self.size = size
    self.scale = scale
    self.ratio = ratio
    self.flip = flip
    self.flipRule = flipRule
    precondition(isPossible, "[RandomResizedCrop] \(size), \(scale), \(ratio)")
  }

  /// Whether the size and the bounds are positive, and the bounds finite.
  public var isPossible: Bool { size > 0 && Self.arePossible([scale, ratio]) }

  /// Whether bounds of ``scale`` and ``ratio`` are positive and finite.
  package static func arePossible(_ bounds: [ClosedRange<Float>]) -> Bool {
    bounds.allSatisfy { $0.lowerBound > 0 && $0.upperBound.isFinite }
  }

  /// Rectangle that is cut out, and whether it is mirrored.
  public struct Draw: Hashable, Sendable {
    /// Rectangle of the whole image, as displayed.
    public let area: PixelArea
    /// Whether the result is mirrored left to right.
    public let isFlipped: Bool
  }

  /// Number of rectangles that are tried before the largest one of an allowed shape at the center is taken.
  static let tries = 10
  private static let stream: UInt32 = 0x1A00_0001

  /// Returns the draw for a sample in an epoch: a function of the seed, the epoch, the sample's number and the
  /// image's size.
  public func draw(seed: UInt64, epoch: Int, sample: Int, height: Int, width: Int) -> Draw {
    var random = Philox(seed: seed, stream: Self.stream, epoch: epoch, sample: sample)
    // The bit is drawn for every rule, so that the crops do not depend on it.
    let isRandomlyFlipped = flip && random.below(2) == 1
    let isFlipped = flip ? flipRule?.mirrors(seed: seed, epoch: epoch, sample: sample) ?? isRandomlyFlipped : false
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

/// Random crops of one epoch.
public struct TrainingTransform: ImageTransform, Hashable {
  /// Distribution of the crops.
  public let crop: RandomResizedCrop
  /// Random seed. Together with the epoch and a sample's number it determines the sample's draw.
  public let seed: UInt64
  /// Epoch, counted from 0.
  public let epoch: Int
  /// Whether JPEGs are decoded at a half, a quarter or an eighth of their size if the crop is at least twice as large as the
  /// result, along both sides. This is much faster for large photographs. The result differs a little from a resize of the
  /// whole image.
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
    // Returns the length of the whole side at which the crop has the size of the result.
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

  /// Part of a side of an image that was decoded at a reduced size.
  private struct Interval {
    /// First pixel that the part touches, and number of pixels that it touches.
    let first, count: Int
    /// Ends of the part, counted from the first pixel.
    let begin, end: Float

    /// - Parameters:
    ///   - begin: first of `count` pixels of a side of `whole` pixels.
    ///   - reduction: number of these pixels for each decoded pixel. The last stored decoded pixel stands for the remaining ones.
    ///   - isMirrored: whether the last stored pixel is displayed first.
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
