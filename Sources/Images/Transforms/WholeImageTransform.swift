/// Transform that brings the whole image to one size, whatever its proportions are.
public struct WholeImageTransform: ImageTransform, Hashable {
  public let height, width: Int
  /// Interpolation of the resize.
  public let interpolation: Interpolation

  /// - Precondition: both sides are positive.
  public init(height: Int, width: Int, interpolation: Interpolation = .bilinear) {
    precondition(height > 0 && width > 0, "[WholeImageTransform] \(height)×\(width)")
    self.height = height
    self.width = width
    self.interpolation = interpolation
  }

  public func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    let decoded = try image.decoded()
    decoded.resize(decoded.area, nil, Resampled(height: height, width: width, interpolation: interpolation), into: pixels)
  }
}
