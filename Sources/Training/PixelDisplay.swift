import Datasets
import Images

/// Map from normalized values back to the bytes of a picture.
struct PixelDisplay {
  private let normalization: Normalization
  private let low, scale: Float

  /// Chooses the range that is shown. Values that are not bytes are stretched so that `values` fill the range of a byte.
  /// - Parameter values: images as they are, normalized.
  init(_ normalization: Normalization, of values: some Collection<Float>) {
    self.normalization = normalization
    var (low, high): (Float, Float) = (0, 255)
    let range = (values.min() ?? 0, values.max() ?? 0)
    // Only images without a normalization of their own can hold other values than bytes.
    if normalization.range == 1, range.0 < 0 || range.1 > 255 || range.1 <= 1 { (low, high) = range }
    self.low = low
    scale = 255 / max(high - low, .leastNormalMagnitude)
  }

  /// Returns the byte of a channel's normalized value.
  func byte(_ x: Float, _ channel: Int) -> UInt8 {
    let stored = (x * normalization.deviation[channel] + normalization.mean[channel]) * normalization.range
    return UInt8(min(255, max(0, (stored - low) * scale)).rounded())
  }

  /// Makes a picture of one image.
  /// - Parameters:
  ///   - values: normalized values [H,W,C]. Without three channels, the first is shown in gray.
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
