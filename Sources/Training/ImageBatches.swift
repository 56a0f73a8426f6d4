import Compute
import Images

/// Images on their way to a classifier, in ordinary memory, a batch at a time.
public protocol ImageBatches: AnyObject {
  /// Height, width and channels of what the classifier gets to see.
  var viewShape: (height: Int, width: Int, channels: Int) { get }
  /// What it sees of each image; at least one.
  var views: [View] { get }
  /// The next batch; nil after the last.
  /// - Throws: ``Failure`` for an image that cannot be had, where that ends the work.
  func next() throws -> PixelBatch?
}

/// Some images in ordinary memory.
public struct PixelBatch {
  /// uint8 or float32 [N·tiles,H,W,C]: the same number of pictures for each image, together.
  public internal(set) var pixels: HostTensor
  /// Which images these are, counted from 0 over all batches, [N].
  public let samples: [Int]
  /// [N]; zeros where they are not known.
  public let labels: [Int32]
  /// Images of this batch that are missing, and why.
  public let failures: [(sample: Int, reason: Failure)]
}

/// One look at an image.
public struct View: Hashable, Sendable {
  /// Which of the image's pictures.
  public var tile = 0
  /// The picture's pixel at the view's upper left corner.
  public var top = 0
  public var left = 0
  /// Whether it is mirrored left to right.
  public var isFlipped = false
}

/// Whether a classifier looks at an image more than once. The probabilities of all views are averaged.
public enum TestTimeAugmentation: String, CaseIterable, Sendable {
  case none
  /// The image, and its mirror image.
  case flip
  /// Four corners and the centre of an image that is larger than what the network takes, and their mirror images (Krizhevsky et al.
  /// 2012, section 4.1; He et al. 2015, section 3.4).
  case tenCrop = "ten-crop"

  /// The views, and as many mirrored where this mirrors.
  func views(_ unflipped: [View]) -> [View] {
    if self == .none { return unflipped }
    return unflipped
      + unflipped.map { view in
        var flipped = view
        flipped.isFlipped = true
        return flipped
      }
  }
}

/// Images that are in memory already and used as they are.
public final class StoredImages: ImageBatches {
  public let viewShape: (height: Int, width: Int, channels: Int)
  public let views: [View]
  private let images: HostTensor
  private let labels: [Int32]?
  private let batchSize: Int
  private var begin = 0

  /// - Parameters:
  ///   - images: uint8 or float32 [M,H,W,C].
  ///   - labels: [M], or nil where they are not known.
  ///   - cropSize: height and width of the views of ``TestTimeAugmentation/tenCrop``; the others show whole images.
  /// - Throws: ``Failure`` for ten crops of images that are no larger than these.
  public init(
    _ images: HostTensor, labels: [Int32]? = nil, batchSize: Int, augmentation: TestTimeAugmentation = .none,
    cropSize: (height: Int, width: Int)? = nil
  ) throws {
    let (height, width, channels) = (images.shape[1], images.shape[2], images.shape[3])
    (self.images, self.labels, self.batchSize) = (images, labels, batchSize)
    guard augmentation == .tenCrop else {
      viewShape = (height, width, channels)
      views = augmentation.views([View()])
      return
    }
    let crop = cropSize ?? (height, width)
    guard crop.height <= height, crop.width <= width, crop != (height, width) else {
      throw Failure(
        "ten crops of \(crop.height)×\(crop.width) need images that are larger, these have \(height)×\(width): mirror them instead "
          + "(flip)")
    }
    viewShape = (crop.height, crop.width, channels)
    views = augmentation.views(
      FiveCrops.areas(height: height, width: width, of: crop.height, crop.width).map { View(top: $0.top, left: $0.left) })
  }

  public func next() -> PixelBatch? {
    let (count, size) = (images.shape[0], images.shape.dimensions.dropFirst())
    guard begin < count else { return nil }
    let range = begin..<min(count, begin + batchSize)
    begin = range.upperBound
    let imageBytes = images.bytes.count / count
    let bytes = images.bytes[range.lowerBound * imageBytes..<range.upperBound * imageBytes]
    return PixelBatch(
      pixels: HostTensor(shape: Shape([range.count] + size), type: images.type, bytes: Array(bytes)), samples: Array(range),
      labels: labels.map { Array($0[range]) } ?? [Int32](repeating: 0, count: range.count), failures: [])
  }
}

/// Image files that are read, decoded and brought to one size by several threads, ahead of the classifier.
public final class DecodedImages: ImageBatches {
  public let viewShape: (height: Int, width: Int, channels: Int)
  public let views: [View]
  private let batches: [[ImageItem]]
  private let pipeline: ImagePipeline
  private let tiles: Int
  private var index = 0

  /// - Parameters:
  ///   - items: their samples are taken to be 0, 1, 2 ….
  ///   - preparation: how they come to their size.
  ///   - channels: 3, or 1 for grey.
  ///   - damaged: whether images that cannot be decoded end the work, or are among a batch's failures.
  /// - Throws: ``Failure`` for ten crops where nothing is cut off, and where the system has no threads to give.
  public init(
    _ items: [ImageItem], _ preparation: ImagePreparation, channels: Int, batchSize: Int,
    augmentation: TestTimeAugmentation = .none, damaged: DamagedImages
  ) throws {
    let transform: any ImageTransform
    switch (augmentation, preparation) {
    case (.tenCrop, .centre(let evaluation)):
      transform = FiveCrops(evaluation)
      tiles = 5
    case (.tenCrop, .whole):
      throw Failure(
        "ten crops are of images that are larger than what the network takes, these are brought to its size as a whole: mirror them "
          + "instead (flip)")
    case (_, .centre(let evaluation)): (transform, tiles) = (evaluation, 1)
    case (_, .whole(let whole)): (transform, tiles) = (whole, 1)
    }
    viewShape = (transform.height / tiles, transform.width, channels)
    views = augmentation.views((0..<tiles).map { View(tile: $0) })
    batches = stride(from: 0, to: items.count, by: batchSize).map { Array(items[$0..<min(items.count, $0 + batchSize)]) }
    pipeline = try ImagePipeline(batches: batches, transform: transform, damaged: damaged)
  }

  public func next() throws -> PixelBatch? {
    defer { index += 1 }
    return try pipeline.next { batch in
      let (height, width, channels) = viewShape
      let bytes = channels == 1 ? luma(ofRGB: batch.pixels) : Array(batch.pixels)
      let decoded = Set(batch.items.map(\.sample))
      let missing = batches[index].map(\.sample).filter { !decoded.contains($0) }
      return PixelBatch(
        pixels: HostTensor(shape: [batch.items.count * tiles, height, width, channels], type: .uint8, bytes: bytes),
        samples: batch.items.map(\.sample), labels: batch.items.map(\.label),
        failures: zip(missing, batch.failures).map { (sample: $0, reason: $1) })
    }
  }
}

/// How a photograph comes to the size that a network takes.
public enum ImagePreparation: Sendable, Hashable {
  /// The shorter side is resized and the centre cut out, as networks that were trained on photographs are measured.
  case centre(EvaluationTransform)
  /// All of it is resized, as a picture of a data set of small images is all of it.
  case whole(WholeImageTransform)
}
