/// Transform that makes an image of a fixed size from an image file.
public protocol ImageTransform: Sendable {
  /// Size of the result in pixels.
  var height: Int { get }
  var width: Int { get }

  /// Decodes an image and transforms it.
  /// - Parameters:
  ///   - sample: number of the image in its data set. Random choices are a function of it, and so do not depend on other
  ///     images.
  ///   - pixels: destination [height, width, 3].
  /// - Throws: a ``Failure`` that names the image if it is damaged.
  func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws
}

extension ImageTransform {
  /// Returns the result as a new image.
  public func apply(_ image: EncodedImage, sample: Int = 0) throws -> RGBImage {
    try RGBImage(height: height, width: width) { try apply(image, sample: sample, into: $0) }
  }
}

/// Transform for evaluation: resizes the shorter side and cuts a square from the center, as torchvision's `Resize` and
/// `CenterCrop` do on Pillow images.
public struct EvaluationTransform: ImageTransform, Hashable {
  /// Length of the shorter side before the crop, and side of the crop, in pixels.
  public let resize, crop: Int
  /// Interpolation of the resize.
  public let interpolation: Interpolation

  public var height: Int { crop }
  public var width: Int { crop }

  /// - Precondition: the crop is positive and no larger than the resized shorter side.
  public init(resize: Int = 256, crop: Int = 224, interpolation: Interpolation = .bilinear) {
    precondition(crop > 0 && crop <= resize, "[EvaluationTransform] \(crop) of \(resize)")
    self.resize = resize
    self.crop = crop
    self.interpolation = interpolation
  }

  /// Returns the transform with the proportion of He et al. 2015: 256 for crops of 224.
  public static func usual(crop: Int, interpolation: Interpolation = .bilinear) -> EvaluationTransform {
    EvaluationTransform(resize: Int((Double(crop) * 256 / 224).rounded()), crop: crop, interpolation: interpolation)
  }

  public func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    apply(try image.decoded(), into: pixels)
  }

  /// Transforms an image that is already decoded.
  public func applied(to image: RGBImage) -> RGBImage {
    RGBImage(height: crop, width: crop) { apply(image, into: $0) }
  }

  /// Returns the size of an image whose shorter side becomes `shorter`. The other side keeps the proportion, rounded down as
  /// in torchvision.
  public static func resizedSize(of image: RGBImage, shorter: Int) -> (height: Int, width: Int) {
    let long = Int(Double(shorter * max(image.height, image.width)) / Double(min(image.height, image.width)))
    return image.height <= image.width ? (shorter, long) : (long, shorter)
  }

  /// Transforms a decoded image.
  /// - Parameter pixels: destination [crop, crop, 3].
  private func apply(_ image: RGBImage, into pixels: UnsafeMutableBufferPointer<UInt8>) {
    let (height, width) = Self.resizedSize(of: image, shorter: resize)
    let window = PixelArea(
      top: Self.center(height - crop), left: Self.center(width - crop), height: crop, width: crop)
    let result = Resampled(height: height, width: width, window: window, interpolation: interpolation)
    image.resize(image.area, nil, result, into: pixels)
  }

  /// Returns half of the pixels that a crop leaves over, rounded as in torchvision.
  static func center(_ rest: Int) -> Int { Int((Double(rest) / 2).rounded(.toNearestOrEven)) }
}

extension RGBImage {
  /// Area of the whole image.
  var area: PixelArea { PixelArea(top: 0, left: 0, height: height, width: width) }
}
