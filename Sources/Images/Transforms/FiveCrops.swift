/// Crops of the four corners and the center of an image whose shorter side is resized, stacked vertically: upper left, upper
/// right, lower left, lower right, center, as in torchvision's `FiveCrop`.
public struct FiveCrops: ImageTransform, Hashable {
  private let evaluation: EvaluationTransform

  /// Height of all five crops together, and width of each.
  public var height: Int { 5 * evaluation.crop }
  public var width: Int { evaluation.crop }

  /// - Parameter evaluation: the resize and the size of the crops.
  public init(_ evaluation: EvaluationTransform) { self.evaluation = evaluation }

  /// Places of the crops in the result, in their order.
  public var places: [PixelArea] {
    let side = evaluation.crop
    return (0..<5).map { PixelArea(top: $0 * side, left: 0, height: side, width: side) }
  }

  public func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    let decoded = try image.decoded()
    let (height, width) = EvaluationTransform.resizedSize(of: decoded, shorter: evaluation.resize)
    let cropBytes = evaluation.crop * evaluation.crop * 3
    // Each crop is resized by itself, as the whole of a very long picture would be too large.
    for (index, area) in Self.areas(height: height, width: width, of: evaluation.crop, evaluation.crop).enumerated() {
      let target = UnsafeMutableBufferPointer(rebasing: pixels[index * cropBytes..<(index + 1) * cropBytes])
      let result = Resampled(height: height, width: width, window: area, interpolation: evaluation.interpolation)
      decoded.resize(decoded.area, nil, result, into: target)
    }
  }

  /// Returns the areas of the crops in an image of height×width pixels.
  /// - Precondition: the image is at least as large as a crop.
  public static func areas(height: Int, width: Int, of cropHeight: Int, _ cropWidth: Int) -> [PixelArea] {
    let (bottom, right) = (height - cropHeight, width - cropWidth)
    precondition(bottom >= 0 && right >= 0, "[FiveCrops] \(cropHeight)×\(cropWidth) of \(height)×\(width)")
    let corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    return (corners + [(EvaluationTransform.center(bottom), EvaluationTransform.center(right))])
      .map { PixelArea(top: $0, left: $1, height: cropHeight, width: cropWidth) }
  }
}
