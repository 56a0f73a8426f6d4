import Compute

/// Random crops of the zero-padded image and mirroring, as in He et al. 2015, section 4.2.
public struct Augmentation: Hashable, Codable, Sendable {
  /// Pixels of zeros that are added on every side before a crop of the image's own size is taken.
  public var padding: Int
  /// Whether half of the images are mirrored left to right.
  public var flip: Bool

  /// The most pixels that ``padding`` may be.
  public static let maximumPadding = 1 << 16

  public init(padding: Int = 4, flip: Bool = true) {
    precondition(padding >= 0 && padding <= Self.maximumPadding, "[Augmentation] padding \(padding)")
    self.padding = padding
    self.flip = flip
  }

  /// Where one sample's crop begins and whether it is mirrored.
  public struct Draw: Hashable, Sendable {
    /// The image's pixel at the crop's corner, −padding … padding.
    public let top, left: Int
    public let isFlipped: Bool

    /// The sample as it is.
    public static let none = Draw(top: 0, left: 0, isFlipped: false)
  }

  /// The draw for a sample in an epoch: a function of these three numbers and nothing else.
  public func draw(seed: UInt64, epoch: Int, sample: Int) -> Draw {
    var random = Philox(seed: seed, stream: RandomStream.augmentation, index: UInt64(epoch) << 32 | UInt64(sample))
    let (top, left) = (random.below(2 * padding + 1) - padding, random.below(2 * padding + 1) - padding)
    return Draw(top: top, left: left, isFlipped: flip && random.below(2) == 1)
  }
}

/// The random streams that data sets use, apart from each other and from those of weights.
enum RandomStream {
  static let shuffle: UInt32 = 0x0D00_0001
  static let augmentation: UInt32 = 0x0D00_0002
  static let pattern: UInt32 = 0x0D00_0003
  static let noise: UInt32 = 0x0D00_0004
}
