/// Transform for photographs that are already small: resizes the shorter side to that of the network, adds zeros on every
/// side, takes a crop at a random position and mirrors it at random. These are torchvision's `Resize`, `RandomCrop` and
/// `RandomHorizontalFlip`.
package struct PaddedCropTransform: ImageTransform {
  /// Side of the result in pixels.
  private let size: Int
  private let augmentation: Augmentation
  private let seed: UInt64
  private let epoch: Int

  package var height: Int { size }
  package var width: Int { size }

  /// - Parameter size: side of the result in pixels.
  package init(size: Int, augmentation: Augmentation, seed: UInt64, epoch: Int) {
    (self.size, self.augmentation, self.seed, self.epoch) = (size, augmentation, seed, epoch)
  }

  package func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    let decoded = try image.decoded()
    let (rows, columns) = EvaluationTransform.resizedSize(of: decoded, shorter: size)
    let draw = augmentation.draw(seed: seed, epoch: epoch, sample: sample, spare: (rows - size, columns - size))
    // Computes only the part of the image that the crop shows. The rest of a panorama would be many times as large.
    let (top, left) = (max(0, draw.top), max(0, draw.left))
    let (bottom, right) = (min(rows, draw.top + size), min(columns, draw.left + size))
    guard top < bottom && left < right else { return pixels.update(repeating: 0) }
    let window = PixelArea(top: top, left: left, height: bottom - top, width: right - left)
    let shown = decoded.resized(height: rows, width: columns, window: window)
    let within = Augmentation.Draw(top: draw.top - top, left: draw.left - left, isFlipped: draw.isFlipped)
    shown.pixels.withUnsafeBufferPointer {
      copyCrop($0, height: shown.height, width: shown.width, channels: 3, within, size: (size, size), into: pixels)
    }
  }
}

/// Copies the crop that begins at a draw's position from pixels [height,width,channels], with zeros where it reaches beyond
/// them.
/// - Parameter target: destination [size.height, size.width, channels].
func copyCrop(
  _ source: UnsafeBufferPointer<UInt8>, height: Int, width: Int, channels: Int, _ draw: Augmentation.Draw,
  size: (height: Int, width: Int), into target: UnsafeMutableBufferPointer<UInt8>
) {
  for p in 0..<size.height {
    for q in 0..<size.width {
      let (h, w) = (draw.top + p, draw.left + (draw.isFlipped ? size.width - 1 - q : q))
      let inside = h >= 0 && h < height && w >= 0 && w < width
      let (from, to) = ((h * width + w) * channels, (p * size.width + q) * channels)
      for channel in 0..<channels { target[to + channel] = inside ? source[from + channel] : 0 }
    }
  }
}
