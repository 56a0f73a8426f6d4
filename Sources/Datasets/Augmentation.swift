import Compute
import Images

/// What is done to training images by chance: random crops of the zero-padded image and mirroring, as in He et al. 2015, section 4.2,
/// and whatever else is asked for.
public struct Augmentation: Hashable, Codable, Sendable {
  /// Pixels of zeros that are added on every side before a crop of the image's own size is taken.
  public var padding: Int
  /// Whether half of the images are mirrored left to right.
  public var flip: Bool
  /// Random changes of colour; nil for none.
  public var colorJitter: ColorJitter?
  /// Whether each image undergoes a change of ``TrivialAugment``; nil for no.
  public var trivialAugment: Bool?
  /// Nil for none.
  public var randomErasing: RandomErasing?
  /// Batches are mixed with themselves; where both are asked for, one or the other. Nil for neither.
  public var mixing: BatchMixing?

  /// The most pixels that ``padding`` may be.
  public static let maximumPadding = 1 << 16

  /// The most that a factor may differ from 1.
  static let strongestJitter = 100.0

  /// Random crops in a border of `padding` pixels, and mirroring; all else is off.
  public init(padding: Int = 4, flip: Bool = true) {
    precondition(padding >= 0 && padding <= Self.maximumPadding, "[Augmentation] padding \(padding)")
    self.padding = padding
    self.flip = flip
  }

  /// Neither crops nor mirroring.
  public static let none = Augmentation(padding: 0, flip: false)

  /// Whether the values of pixels change before batches are put together, which needs images as bytes on the host.
  public var changesPixels: Bool { colorJitter != nil || trivialAugment == true }

  /// Whether batches are erased or mixed as they are put together, on the device.
  var changesBatches: Bool { randomErasing != nil || mixing != nil }

  /// - Throws: a ``Failure`` for the first value that makes no sense, by the name of its option.
  public func validate() throws {
    guard (0...Self.maximumPadding).contains(padding) else {
      throw Failure("--crop-padding \(padding): it must be from 0 to \(Self.maximumPadding)")
    }
    if let jitter = colorJitter {
      let strengths = [jitter.brightness, jitter.contrast, jitter.saturation]
      guard strengths.allSatisfy((0...Self.strongestJitter).contains), (0...0.5).contains(jitter.hue) else {
        throw Failure(
          "--color-jitter \((strengths + [jitter.hue]).map { "\($0)" }.joined(separator: ",")): brightness, contrast and saturation "
            + "must be from 0 to \(Self.strongestJitter), hue from 0 to 0.5")
      }
    }
    if let erasing = randomErasing, !(0...1).contains(erasing.probability) {
      throw Failure("--random-erasing \(erasing.probability): it must be from 0 to 1")
    }
    for (name, alpha) in [("--mixup", mixing?.mixup), ("--cutmix", mixing?.cutmix)] {
      guard let alpha, !BatchMixing.alphas.contains(alpha) else { continue }
      throw Failure("\(name) \(alpha): it must be from \(BatchMixing.alphas.lowerBound) to \(BatchMixing.alphas.upperBound)")
    }
  }

  /// Where one sample's crop begins and whether it is mirrored.
  public struct Draw: Hashable, Sendable {
    /// The image's pixel at the crop's corner, −padding … padding.
    public let top, left: Int
    /// Whether the crop is mirrored left to right.
    public let isFlipped: Bool

    /// The sample as it is.
    public static let none = Draw(top: 0, left: 0, isFlipped: false)
  }

  /// The draw for a sample in an epoch: a function of these three numbers and nothing else.
  /// - Parameter spare: pixels by which the image is higher and wider than the crop.
  public func draw(seed: UInt64, epoch: Int, sample: Int, spare: (height: Int, width: Int) = (0, 0)) -> Draw {
    var random = Philox(seed: seed, stream: RandomStream.augmentation, epoch: epoch, sample: sample)
    let top = random.below(2 * padding + spare.height + 1) - padding
    let left = random.below(2 * padding + spare.width + 1) - padding
    return Draw(top: top, left: left, isFlipped: flip && random.below(2) == 1)
  }

  /// What changes pixels in one epoch; nil for nothing.
  func pixelAugmentation(seed: UInt64, epoch: Int) -> PixelAugmentation? {
    guard changesPixels else { return nil }
    return PixelAugmentation(colorJitter: colorJitter, trivialAugment: trivialAugment ?? false, seed: seed, epoch: epoch)
  }
}

/// The random streams that data sets use, apart from each other and from those of weights.
enum RandomStream {
  static let shuffle: UInt32 = 0x0D00_0001
  static let augmentation: UInt32 = 0x0D00_0002
  static let pattern: UInt32 = 0x0D00_0003
  static let noise: UInt32 = 0x0D00_0004
  static let erasing: UInt32 = 0x0D00_0005
  static let mixing: UInt32 = 0x0D00_0006
}
