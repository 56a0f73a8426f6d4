import Compute
import Images
import Support

/// Source of images in host memory for a classifier, one batch at a time.
public protocol ImageBatches: AnyObject {
  /// Height, width and channels of the views that the classifier gets.
  var viewShape: (height: Int, width: Int, channels: Int) { get }
  /// Views of each image; at least one.
  var views: [View] { get }
  /// Returns the next batch; nil after the last.
  /// - Throws: ``Failure`` if an image cannot be decoded and such images end the work, as with ``DamagedImages/fail``.
  func next() throws -> PixelBatch?
}

/// Batch of images in host memory.
public struct PixelBatch {
  /// Pixels, uint8 or float32 [N·tiles,H,W,C]. Each image has the same number of tiles, which are adjacent.
  public internal(set) var pixels: HostTensor
  /// Indices of the images, counted from 0 over all batches, [N].
  public let samples: [Int]
  /// Labels [N]; zeros if they are not known.
  public let labels: [Int32]
  /// Images of this batch that are missing, with the reasons.
  public let failures: [(sample: Int, reason: Failure)]
}

/// View of an image, one of those that the classifier sees.
public struct View: Hashable, Sendable {
  /// Index of the tile among the image's tiles.
  public var tile = 0
  /// Row (`top`) and column (`left`) of the tile's pixel at the view's upper left corner.
  public var top = 0
  public var left = 0
  /// Whether the view is mirrored left to right.
  public var isFlipped = false
}

/// Test-time augmentation: whether a classifier sees an image more than once. The probabilities of all views are averaged.
public enum TestTimeAugmentation: String, CaseIterable, Sendable {
  case none
  /// The image and its mirror image.
  case flip
  /// The four corners and the center of an image that is larger than the network's input, and their mirror images (Krizhevsky et
  /// al. 2012, section 4.1; He et al. 2015, section 3.4).
  case tenCrop = "ten-crop"

  /// Returns the views, followed by their mirror images if this augmentation mirrors.
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

/// Images that are in memory already and are used as they are.
public final class StoredImages: ImageBatches {
  public let viewShape: (height: Int, width: Int, channels: Int)
  public let views: [View]
  private let images: HostTensor
  private let labels: [Int32]?
  private let batchSize: Int
  private var begin = 0

  /// - Parameters:
  ///   - images: pixels, uint8 or float32 [M,H,W,C].
  ///   - labels: labels [M]; nil if they are not known.
  ///   - cropSize: height and width of the views for ``TestTimeAugmentation/tenCrop``; other views show whole images.
  /// - Throws: ``Failure`` for ten crops if the images are not larger than the crops.
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
        .invalidSetting,
        "ten crops of \(crop.height)×\(crop.width) need images that are larger, these have \(height)×\(width)",
        remedy: "mirror them instead (flip)")
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

/// Image files that several threads read, decode and bring to one size, ahead of the classifier.
public final class DecodedImages: ImageBatches {
  public let viewShape: (height: Int, width: Int, channels: Int)
  public let views: [View]
  private let batches: [[ImageItem]]
  private let pipeline: ImagePipeline
  private let tiles: Int
  private var index = 0

  /// - Parameters:
  ///   - items: image files, whose samples are assumed to be 0, 1, 2 ….
  ///   - preparation: method of bringing them to the size of the network's input.
  ///   - channels: 3, or 1 for gray.
  ///   - damaged: whether an image that cannot be decoded ends the work or is listed among the batch's failures.
  /// - Throws: ``Failure`` for ten crops if the preparation cuts nothing off, and if the system cannot create threads.
  public init(
    _ items: [ImageItem], _ preparation: ImagePreparation, channels: Int, batchSize: Int,
    augmentation: TestTimeAugmentation = .none, damaged: DamagedImages
  ) throws {
    let transform: any ImageTransform
    switch (augmentation, preparation) {
    case (.tenCrop, .center(let evaluation)):
      transform = FiveCrops(evaluation)
      tiles = 5
    case (.tenCrop, .whole):
      throw Failure(
        .invalidSetting,
        "ten crops are of images that are larger than what the network takes, these are brought to its size as a whole",
        remedy: "mirror them instead (flip)")
    case (_, .center(let evaluation)): (transform, tiles) = (evaluation, 1)
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

/// Method of bringing a photograph to the size that a network takes.
public enum ImagePreparation: Sendable, Hashable {
  /// Resizes the shorter side and cuts out the center, as in the evaluation of networks that were trained on photographs.
  case center(EvaluationTransform)
  /// Resizes the whole image, as the pictures of a data set of small images show the whole of it too.
  case whole(WholeImageTransform)
}
