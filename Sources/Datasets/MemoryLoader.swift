import Compute
import Images

/// Loader of images in memory, as they are.
struct MemoryLoader: ImageLoader {
  let imageBytes: Int
  private let images: HostTensor

  /// - Parameter images: pixels [N,H,W,C]; the number of an item is its place among them.
  init(_ images: HostTensor) {
    self.images = images
    imageBytes = images.bytes.count / images.shape[0]
  }

  func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) {
    images.bytes.withUnsafeBufferPointer {
      _ = pixels.update(fromContentsOf: $0[item.sample * imageBytes..<(item.sample + 1) * imageBytes])
    }
  }
}
