import Compute
import Datasets
import Images

/// Map from the values of pixels to the bytes of a picture.
struct PixelDisplay {
  /// Normalization of the values; nil for values as they are stored.
  private let normalization: Normalization?
  private let low, scale: Float

  /// Shows normalized values.
  /// - Parameter values: images as they are, normalized. Values that are not bytes are stretched so that these fill the range of a
  ///   byte.
  init(_ normalization: Normalization, of values: some Collection<Float>) {
    self.init(values, range: normalization.range, normalization)
  }

  /// Shows stored values.
  /// - Parameters:
  ///   - values: values that are shown. Values that are not bytes are stretched so that these fill the range of a byte.
  ///   - range: stored value that counts as 1; see ``Normalization/range``.
  init(_ values: some Collection<Float>, range: Float) { self.init(values, range: range, nil) }

  private init(_ values: some Collection<Float>, range: Float, _ normalization: Normalization?) {
    self.normalization = normalization
    var (low, high): (Float, Float) = (0, 255)
    // Only images without a normalization of their own can hold other values than bytes.
    if range == 1, case let extent = (values.min() ?? 0, values.max() ?? 0), extent.0 < 0 || extent.1 > 255 || extent.1 <= 1 {
      (low, high) = extent
    }
    (self.low, scale) = (low, 255 / max(high - low, .leastNormalMagnitude))
  }

  /// Returns the byte of a channel's value.
  private func byte(_ x: Float, _ channel: Int) -> UInt8 {
    let stored = normalization.map { (x * $0.deviation[channel] + $0.mean[channel]) * $0.range } ?? x
    return UInt8(min(255, max(0, (stored - low) * scale)).rounded())
  }

  /// Makes pictures of one size.
  /// - Parameters:
  ///   - images: images [N,H,W,C], of any height and width.
  ///   - height: height of the pictures.
  ///   - width: width of the pictures.
  func pictures(_ images: HostTensor, height: Int, width: Int) -> [RGBImage] {
    let (shape, values) = (images.shape, images.floats)
    let size = values.count / shape[0]
    return (0..<shape[0]).map { index in
      let picture = picture(values[index * size..<(index + 1) * size], height: shape[1], width: shape[2])
      return (shape[1], shape[2]) == (height, width) ? picture : picture.resized(height: height, width: width)
    }
  }

  /// Makes a picture of one image.
  /// - Parameters:
  ///   - values: values [H,W,C]. Without three channels, the first is shown in gray.
  ///   - factor: number of pixels of the picture for a pixel of the image, in both directions.
  func picture(_ values: ArraySlice<Float>, height: Int, width: Int, enlarged factor: Int = 1) -> RGBImage {
    let channels = values.count / (height * width)
    var pixels: [UInt8] = []
    pixels.reserveCapacity(height * width * factor * factor * 3)
    for y in 0..<height * factor {
      for x in 0..<width * factor {
        let from = values.startIndex + (y / factor * width + x / factor) * channels
        for c in 0..<3 {
          let channel = channels == 3 ? c : 0
          pixels.append(byte(values[from + channel], channel))
        }
      }
    }
    return RGBImage(height: height * factor, width: width * factor, pixels: pixels)
  }
}
