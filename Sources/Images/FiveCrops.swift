/// The four corners and the centre of an image whose shorter side is resized, one below the other: upper left, upper right, lower
/// left, lower right, centre, as in torchvision's `FiveCrop`.
public struct FiveCrops: ImageTransform, Hashable {
  private let evaluation: EvaluationTransform

  /// Of all five.
  public var height: Int { 5 * evaluation.crop }
  public var width: Int { evaluation.crop }

  /// - Parameter evaluation: the resize, and the size of the crops.
  public init(_ evaluation: EvaluationTransform) { self.evaluation = evaluation }

  public func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    let decoded = try image.decoded()
    let (height, width) = EvaluationTransform.resizedSize(of: decoded, shorter: evaluation.resize)
    let cropBytes = evaluation.crop * evaluation.crop * 3
    // Each by itself: all of a very long picture would be too much.
    for (index, area) in Self.areas(height: height, width: width, of: evaluation.crop, evaluation.crop).enumerated() {
      let target = UnsafeMutableBufferPointer(rebasing: pixels[index * cropBytes..<(index + 1) * cropBytes])
      let result = Resampled(height: height, width: width, window: area, interpolation: evaluation.interpolation)
      decoded.resize(decoded.area, nil, result, into: target)
    }
  }

  /// Where the crops of an image of height×width pixels are.
  /// - Precondition: it is at least as large as a crop.
  public static func areas(height: Int, width: Int, of cropHeight: Int, _ cropWidth: Int) -> [PixelArea] {
    let (bottom, right) = (height - cropHeight, width - cropWidth)
    precondition(bottom >= 0 && right >= 0, "[FiveCrops] \(cropHeight)×\(cropWidth) of \(height)×\(width)")
    let corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    return (corners + [(EvaluationTransform.centre(bottom), EvaluationTransform.centre(right))])
      .map { PixelArea(top: $0, left: $1, height: cropHeight, width: cropWidth) }
  }
}
