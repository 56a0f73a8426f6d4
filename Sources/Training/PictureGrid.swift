import Compute
import Datasets
import Images
import Support

/// Picture of several images of one size, in rows from left to right, with a border around each.
package struct PictureGrid {
  /// The picture.
  package let image: RGBImage

  /// Width of the border between images in pixels.
  private static let border = 4
  /// Limits of the sides of the images shown. Images are enlarged or subsampled by a whole factor to sides between these.
  private static let (smallest, largest) = (96, 256)

  /// - Parameters:
  ///   - images: images of one size.
  ///   - columns: number of images in a row.
  /// - Precondition: there is an image.
  package init(_ images: [RGBImage], columns: Int) {
    let border = Self.border
    let (height, width) = (images[0].height, images[0].width)
    let factor = max(1, Self.smallest / max(height, width))
    let every = (max(height, width) + Self.largest - 1) / Self.largest
    let (tileHeight, tileWidth) = (max(1, height * factor / every), max(1, width * factor / every))
    let rows = (images.count + columns - 1) / columns
    let (sheetHeight, sheetWidth) = (rows * (tileHeight + border) + border, columns * (tileWidth + border) + border)
    var pixels = [UInt8](repeating: 255, count: sheetHeight * sheetWidth * 3)
    for (index, image) in images.enumerated() {
      let (top, left) = (border + index / columns * (tileHeight + border), border + index % columns * (tileWidth + border))
      for y in 0..<tileHeight {
        for x in 0..<tileWidth {
          let from = (y * every / factor * width + x * every / factor) * 3
          let to = ((top + y) * sheetWidth + left + x) * 3
          for channel in 0..<3 { pixels[to + channel] = image.pixels[from + channel] }
        }
      }
    }
    image = RGBImage(height: sheetHeight, width: sheetWidth, pixels: pixels)
  }
}

extension ImageSource {
  /// Returns pictures of images as a network sees them, before they are normalized.
  /// - Parameter samples: numbers of the images; see ``ImageItem/sample``.
  /// - Returns: the pictures in the order of the numbers; nil for an image that is not there or cannot be decoded.
  /// - Throws: a ``Failure`` if the images cannot be opened.
  package func pictures(ofSamples samples: [Int]) throws -> [RGBImage?] {
    let wanted = Set(samples)
    let found = Dictionary(items.lazy.filter { wanted.contains($0.sample) }.map { ($0.sample, $0) }) { first, _ in first }
    let loader = try loader()
    // A loader may give larger images than the shape says, of which crops are taken.
    guard loader.imageBytes == shape.dimensions.dropFirst().reduce(pixelType.byteCount, *) else {
      return samples.map { _ in nil }
    }
    let values = samples.map { sample -> [Float]? in
      guard let item = found[sample] else { return nil }
      var bytes = [UInt8](repeating: 0, count: loader.imageBytes)
      guard (try? bytes.withUnsafeMutableBufferPointer { try loader.load(item, into: $0) }) != nil else { return nil }
      return HostTensor(shape: [bytes.count / pixelType.byteCount], type: pixelType, bytes: bytes).floats
    }
    let display = PixelDisplay(values.lazy.compactMap { $0 }.joined(), range: normalization.range)
    let (height, width) = (shape[1], shape[2])
    return values.map { $0.map { display.picture($0[...], height: height, width: width) } }
  }
}
