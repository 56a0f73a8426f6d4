/// Loader that crops, mirrors and changes the images of another loader, which all have one size.
package struct AugmentedLoader: ImageLoader {
  private let base: any ImageLoader
  private let augmentation: Augmentation
  private let changes: PixelAugmentation?
  private let height, width, channels: Int
  private let seed: UInt64
  private let epoch: Int

  package var imageBytes: Int { base.imageBytes }

  /// - Parameters:
  ///   - base: loader of images [height,width,channels].
  ///   - augmentation: random changes. If colors change, the pixels are bytes in 1 or 3 channels.
  package init(
    _ base: any ImageLoader, _ augmentation: Augmentation, height: Int, width: Int, channels: Int, seed: UInt64, epoch: Int
  ) {
    (self.base, self.augmentation) = (base, augmentation)
    changes = augmentation.pixelAugmentation(seed: seed, epoch: epoch)
    (self.height, self.width, self.channels) = (height, width, channels)
    (self.seed, self.epoch) = (seed, epoch)
  }

  package func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    try crop(item, into: pixels)
    guard let changes else { return }
    if channels == 3 { return changes.apply(to: pixels, height: height, width: width, sample: item.draw) }
    // Gray is treated as a color with three equal channels, and stays gray.
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 3 * pixels.count) { colors in
      for index in colors.indices { colors[index] = pixels[index / 3] }
      changes.apply(to: colors, height: height, width: width, sample: item.draw)
      for index in pixels.indices { pixels[index] = colors[3 * index] }
    }
  }

  private func crop(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    let draw = augmentation.draw(seed: seed, epoch: epoch, sample: item.draw)
    if draw == .none { return try base.load(item, into: pixels) }
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: imageBytes) { whole in
      whole.initialize(repeating: 0)
      try base.load(item, into: whole)
      // A pixel of another type than bytes is copied as its bytes.
      copyCrop(
        UnsafeBufferPointer(whole), height: height, width: width, channels: imageBytes / (height * width), draw,
        size: (height, width), into: pixels)
    }
  }
}
