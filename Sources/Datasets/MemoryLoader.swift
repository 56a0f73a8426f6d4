import Compute
import Images
import Support

/// Streaming of a data set in memory through the host, for changes that only the host can make.
extension Dataset: StreamedImages {
  public var items: [ImageItem] {
    labels.elements(as: Int32.self).enumerated().map { ImageItem(path: "", label: $1, sample: $0) }
  }

  public var damaged: DamagedImages { .fail }

  /// - Throws: a ``Failure`` if the images are not bytes in one or three channels.
  public func loader(
    crop: RandomResizedCrop?, _ augmentation: Augmentation?, seed: UInt64, epoch: Int
  ) throws -> any ImageLoader {
    try requirePixels()
    return MemoryLoader(
      dataset: self, augmentation: augmentation, changes: augmentation?.pixelAugmentation(seed: seed, epoch: epoch), seed: seed,
      epoch: epoch)
  }

  /// Checks that the images are bytes in one or three channels, for which changes of color are defined.
  /// - Throws: a ``Failure`` if they are not.
  public func requirePixels() throws {
    guard images.type == .uint8, [1, 3].contains(shape[3]) else {
      throw Failure(
        .invalidSetting,
        "\(Setting.colorJitter) and \(Setting.trivialAugment) need images of bytes in 1 or 3 channels, but those of \(name) are "
          + "\(images.type) in \(shape[3])",
        remedy: "leave them out")
    }
  }
}

/// Loader that crops, mirrors and changes images in memory.
private struct MemoryLoader: ImageLoader {
  let dataset: Dataset
  let augmentation: Augmentation?
  let changes: PixelAugmentation?
  let seed: UInt64
  let epoch: Int

  var imageBytes: Int { dataset.shape.dimensions.dropFirst().reduce(1, *) }

  func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) {
    let (height, width, channels) = (dataset.shape[1], dataset.shape[2], dataset.shape[3])
    let draw = augmentation?.draw(seed: seed, epoch: epoch, sample: item.sample) ?? .none
    dataset.images.bytes.withUnsafeBufferPointer { bytes in
      let source = UnsafeBufferPointer(rebasing: bytes[item.sample * imageBytes..<(item.sample + 1) * imageBytes])
      copyCrop(source, height: height, width: width, channels: channels, draw, size: (height, width), into: pixels)
    }
    guard let changes else { return }
    if channels == 3 { return changes.apply(to: pixels, height: height, width: width, sample: item.sample) }
    // Gray is treated as a color with three equal channels, and stays gray.
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 3 * pixels.count) { colors in
      for index in colors.indices { colors[index] = pixels[index / 3] }
      changes.apply(to: colors, height: height, width: width, sample: item.sample)
      for index in pixels.indices { pixels[index] = colors[3 * index] }
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
