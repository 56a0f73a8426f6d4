import Support

/// Random changes of training images: crops and mirroring, as in He et al. 2015, section 4.2, and any others that are requested.
///
/// ```swift
/// var augmentation = Augmentation.none
/// augmentation.randomErasing = RandomErasing(probability: 0.25)
/// ```
public struct Augmentation: Hashable, Codable, Sendable {
  /// Random crops.
  public enum Crop: Hashable, Codable, Sendable {
    /// No crops. Photographs are resized and cut at the center.
    case none
    /// Crops of the image's own size, after so many zero pixels are added on every side. Photographs are resized to that size
    /// first, and cropped at a random place along their longer side too.
    case padded(pixels: Int)
    /// Crops of random area and shape, resized to the network's input, for photographs; see ``RandomResizedCrop``.
    case randomResized(scale: ClosedRange<Float> = 0.08...1, ratio: ClosedRange<Float> = 3 / 4...4 / 3)
  }

  /// Random crops.
  public var crop: Crop
  /// Whether half of the images are mirrored left to right.
  public var flip: Bool
  /// Rule for the choice of the mirrored images, if ``flip`` is set; nil for a random choice in each epoch.
  public var flipRule: FlipRule?
  /// Random changes of color; nil for none.
  public var colorJitter: ColorJitter?
  /// Whether each image is changed by ``TrivialAugment``.
  public var trivialAugment = false
  /// Random erasing; nil for none.
  public var randomErasing: RandomErasing?
  /// Mixing of the images of a batch with each other. If both kinds are set, each batch uses one of them. Nil for neither.
  public var mixing: BatchMixing?

  /// Maximum number of pixels of a ``Crop/padded(pixels:)`` border.
  public static let maximumPadding = 1 << 16

  /// Maximum difference of a factor from 1.
  static let strongestJitter = 100.0

  /// Creates random crops and mirroring. All other changes are off. The defaults are those of He et al. for small images.
  public init(crop: Crop = .padded(pixels: 4), flip: Bool = true) { (self.crop, self.flip) = (crop, flip) }

  /// Images as they are.
  public static let none = Augmentation(crop: .none, flip: false)

  /// Whether the values of pixels change before batches are assembled, which needs images as bytes on the host.
  public var changesPixels: Bool { colorJitter != nil || trivialAugment }

  /// Whether batches are erased or mixed while they are assembled, on the device.
  package var changesBatches: Bool { randomErasing != nil || mixing != nil }

  /// Number of zero pixels that are added on every side.
  package var padding: Int { if case .padded(let pixels) = crop { pixels } else { 0 } }

  /// Checks the values.
  /// - Throws: a ``Failure`` for the first invalid value, with its setting.
  public func validate() throws {
    try validateCrop()
    if let jitter = colorJitter {
      let strengths = [jitter.brightness, jitter.contrast, jitter.saturation]
      guard strengths.allSatisfy((0...Self.strongestJitter).contains), (0...0.5).contains(jitter.hue) else {
        throw Failure(
          .colorJitter, (strengths + [jitter.hue]).map(\.description).joined(separator: ","),
          "brightness, contrast and saturation must be from 0 to \(Self.strongestJitter), hue from 0 to 0.5")
      }
    }
    if let erasing = randomErasing, !(0...1).contains(erasing.probability) {
      throw Failure(.randomErasing, erasing.probability, "it must be from 0 to 1")
    }
    for (setting, alpha) in [(Setting.mixup, mixing?.mixup), (Setting.cutmix, mixing?.cutmix)] {
      guard let alpha, !BatchMixing.alphas.contains(alpha) else { continue }
      let alphas = BatchMixing.alphas
      throw Failure(setting, alpha, "it must be from \(alphas.lowerBound) to \(alphas.upperBound)")
    }
  }

  private func validateCrop() throws {
    switch crop {
    case .none: break
    case .padded(let pixels):
      guard (0...Self.maximumPadding).contains(pixels) else {
        throw Failure(.cropPadding, pixels, "it must be from 0 to \(Self.maximumPadding)")
      }
    case .randomResized(let scale, let ratio):
      guard RandomResizedCrop.arePossible([scale, ratio]) else {
        throw Failure(
          .invalidSetting, "crops of \(scale) of the area and of the shape \(ratio): the bounds must be above 0 and finite")
      }
    }
  }

  /// Position of one sample's crop, and whether it is mirrored.
  public struct Draw: Hashable, Sendable {
    /// Position in the image of the crop's upper left corner: −padding … padding, plus up to the spare pixels if there are
    /// any.
    public let top, left: Int
    /// Whether the crop is mirrored left to right.
    public let isFlipped: Bool

    /// Draw that leaves the sample unchanged.
    public static let none = Draw(top: 0, left: 0, isFlipped: false)
  }

  /// Returns the draw for a sample in an epoch: a function of the seed, the epoch and the sample's number
  /// alone.
  /// - Parameter spare: number of pixels by which the image is higher and wider than the crop.
  public func draw(seed: UInt64, epoch: Int, sample: Int, spare: (height: Int, width: Int) = (0, 0)) -> Draw {
    var random = Philox(seed: seed, stream: RandomStream.augmentation, epoch: epoch, sample: sample)
    let top = random.below(2 * padding + spare.height + 1) - padding
    let left = random.below(2 * padding + spare.width + 1) - padding
    let isFlipped = flip && flipRule?.mirrors(seed: seed, epoch: epoch, sample: sample) ?? (random.below(2) == 1)
    return Draw(top: top, left: left, isFlipped: isFlipped)
  }

  /// Returns the pixel augmentation of one epoch; nil if no pixel values change.
  package func pixelAugmentation(seed: UInt64, epoch: Int) -> PixelAugmentation? {
    guard changesPixels else { return nil }
    return PixelAugmentation(colorJitter: colorJitter, trivialAugment: trivialAugment, seed: seed, epoch: epoch)
  }
}

/// Random streams of augmentation, distinct from each other and from those of data sets and weights.
enum RandomStream {
  static let augmentation: UInt32 = 0x0D00_0002
  static let erasing: UInt32 = 0x0D00_0005
  static let mixing: UInt32 = 0x0D00_0006
  static let alternation: UInt32 = 0x0D00_0007
}
