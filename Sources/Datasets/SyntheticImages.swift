import Compute
import Support

/// Images made from a random seed, for trying the engine without a download. Each class has its own coarse random pattern.
/// Each image is the pattern of its class with noise, and the classes take turns. The loss goes down quickly in training.
///
/// ```swift
/// let splits = SyntheticImages(classes: 4, size: 16).splits()
/// let session = try TrainingSession("resnet8", on: .images(ImageSplits(splits)))
/// ```
public struct SyntheticImages: Hashable, Sendable {
  /// Random seed that determines all images.
  public var seed: UInt64
  /// Number of images to train on, and number of images to validate on.
  public var count, validationCount: Int
  /// Number of classes, at least 1.
  public var classes: Int
  /// Height and width in pixels.
  public var size: Int
  /// Number of channels of each image.
  public var channels: Int

  public init(
    seed: UInt64 = 0, count: Int = 2048, validationCount: Int = 512, classes: Int = 10, size: Int = 32, channels: Int = 3
  ) {
    self.seed = seed
    self.count = count
    self.validationCount = validationCount
    self.classes = classes
    self.size = size
    self.channels = channels
  }

  /// Number of cells of a pattern along each side.
  private static let cells = 4
  /// Bound of the noise, which is uniform on −noise …< noise, in units of a byte.
  private static let noise = 64

  /// Makes the images.
  /// - Precondition: all sizes are positive.
  public func splits() -> DatasetSplits {
    precondition(
      count > 0 && validationCount > 0 && classes > 0 && size > 0 && channels > 0,
      "[SyntheticImages] \(count) + \(validationCount) images, \(classes) classes, \(size)×\(size)×\(channels)")
    let patterns = (0..<classes).map(pattern)
    return DatasetSplits(
      train: dataset(patterns, samples: 0..<count), validation: dataset(patterns, samples: count..<count + validationCount))
  }

  /// Returns the pattern of one class, [cells, cells, C], with values from 64 to 191.
  private func pattern(_ label: Int) -> [Int] {
    var random = Philox(seed: seed, stream: RandomStream.pattern, index: UInt64(label))
    return (0..<Self.cells * Self.cells * channels).map { _ in 64 + random.below(128) }
  }

  private func dataset(_ patterns: [[Int]], samples: Range<Int>) -> Dataset {
    var pixels: [UInt8] = []
    pixels.reserveCapacity(samples.count * size * size * channels)
    for sample in samples { append(sample, of: patterns[sample % classes], to: &pixels) }
    return Dataset(
      name: "synthetic", images: HostTensor(pixels, shape: [samples.count, size, size, channels]),
      labels: HostTensor(samples.map { Int32($0 % classes) }, shape: [samples.count]),
      classes: Dataset.numberedClasses(classes), namesClasses: false,
      normalization: Normalization(
        mean: [Float](repeating: 0.5, count: channels), deviation: [Float](repeating: 0.25, count: channels)))
  }

  private func append(_ sample: Int, of pattern: [Int], to pixels: inout [UInt8]) {
    var random = Philox(seed: seed, stream: RandomStream.noise, index: UInt64(sample))
    // Each value takes seven bits, so one draw serves nine values.
    var (bits, left) = (0 as UInt64, 0)
    for h in 0..<size {
      for w in 0..<size {
        let cell = h * Self.cells / size * Self.cells + w * Self.cells / size
        for c in 0..<channels {
          if left == 0 { (bits, left) = (random.next(), 9) }
          let value = pattern[cell * channels + c] + Int(bits & 127) - Self.noise
          (bits, left) = (bits >> 7, left - 1)
          pixels.append(UInt8(value))
        }
      }
    }
  }
}
