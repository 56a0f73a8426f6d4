/// Transform that mirrors images at random after another transform, as torchvision's `RandomHorizontalFlip` does.
package struct MirroringTransform: ImageTransform {
  private let base: any ImageTransform
  private let augmentation: Augmentation
  private let seed: UInt64
  private let epoch: Int

  package var height: Int { base.height }
  package var width: Int { base.width }

  /// - Parameter augmentation: decides which images are mirrored.
  package init(_ base: any ImageTransform, _ augmentation: Augmentation, seed: UInt64, epoch: Int) {
    (self.base, self.augmentation, self.seed, self.epoch) = (base, augmentation, seed, epoch)
  }

  package func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
    try base.apply(image, sample: sample, into: pixels)
    guard augmentation.draw(seed: seed, epoch: epoch, sample: sample).isFlipped else { return }
    let rowBytes = 3 * width
    for row in stride(from: 0, to: height * rowBytes, by: rowBytes) {
      for (left, right) in zip(0..<width, (0..<width).reversed()) where left < right {
        for channel in 0..<3 { pixels.swapAt(row + 3 * left + channel, row + 3 * right + channel) }
      }
    }
  }
}
