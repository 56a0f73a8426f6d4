/// Makes an image of a fixed size out of a file's.
public protocol ImageTransform: Sendable {
  /// Of the result, in pixels.
  var height: Int { get }
  var width: Int { get }

  /// Decodes an image and transforms it.
  /// - Parameters:
  ///   - sample: the image's number in its data set: with it, chance is a function of what is transformed alone.
  ///   - pixels: where the result goes, [height, width, 3].
  /// - Throws: a ``Failure`` that names the image, where it is damaged.
  func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws
}

extension ImageTransform {
  /// The result as an image of its own.
  public func apply(_ image: EncodedImage, sample: Int = 0) throws -> RGBImage {
    try RGBImage(height: height, width: width) { try apply(image, sample: sample, into: $0) }
  }
}

/// What images are measured by: the shorter side is resized, and a square cut from the centre, as torchvision's `Resize` and
/// `CenterCrop` do on Pillow images.
public struct EvaluationTransform: ImageTransform, Hashable {
  /// Pixels of the shorter side before the crop, and of the crop's sides.
  public let resize, crop: Int
  /// Manner of resizing.
  public let interpolation: Interpolation

  public var height: Int { crop }
  public var width: Int { crop }

  /// - Precondition: the crop is positive and no larger than what it is cut from.
  public init(resize: Int = 256, crop: Int = 224, interpolation: Interpolation = .bilinear) {
    precondition(crop > 0 && crop <= resize, "[EvaluationTransform] \(crop) of \(resize)")
    self.resize = resize
    self.crop = crop
    self.interpolation = interpolation
  }

  /// The proportion of He et al. 2015: 256 for crops of 224.
  public static func usual(crop: Int, interpolation: Interpolation = .bilinear) -> EvaluationTransform {
    EvaluationTransform(resize: Int((Double(crop) * 256 / 224).rounded()), crop: crop, interpolation: interpolation)
  }

  public func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    apply(try image.decoded(), into: pixels)
  }

  /// The same of an image that is decoded already.
  public func applied(to image: RGBImage) -> RGBImage {
    RGBImage(height: crop, width: crop) { apply(image, into: $0) }
  }

  /// The size of an image whose shorter side has become `shorter`, the other in proportion, rounded down as torchvision does.
  public static func resizedSize(of image: RGBImage, shorter: Int) -> (height: Int, width: Int) {
    let long = Int(Double(shorter * max(image.height, image.width)) / Double(min(image.height, image.width)))
    return image.height <= image.width ? (shorter, long) : (long, shorter)
  }

  /// - Parameter pixels: [crop, crop, 3].
  private func apply(_ image: RGBImage, into pixels: UnsafeMutableBufferPointer<UInt8>) {
    let (height, width) = Self.resizedSize(of: image, shorter: resize)
    let window = PixelArea(
      top: Self.centre(height - crop), left: Self.centre(width - crop), height: crop, width: crop)
    let result = Resampled(height: height, width: width, window: window, interpolation: interpolation)
    image.resize(image.area, nil, result, into: pixels)
  }

  /// Half of what a crop leaves, as torchvision rounds it.
  static func centre(_ rest: Int) -> Int { Int((Double(rest) / 2).rounded(.toNearestOrEven)) }
}

extension RGBImage {
  /// All of it.
  var area: PixelArea { PixelArea(top: 0, left: 0, height: height, width: width) }
}
