import Compute
import Images
import Support

/// Folder of photographs as a data set. Files are read, decoded and brought to one size when they are needed.
public struct PhotographDataset: StreamedImages {
  /// Names of the classes' folders, in the order of the labels.
  public private(set) var classes: [String]
  /// Items in the order of the folder; for a prefix, the classes take turns.
  public private(set) var items: [ImageItem]
  /// Height and width of the images that the network sees.
  public let imageSize: Int
  /// Preparation of images that are not cropped at random.
  public let evaluation: EvaluationTransform
  /// Treatment of images that cannot be decoded.
  public let damaged: DamagedImages
  /// Files that are not named like images, and are skipped.
  public let ignored: [String]
  public let contents: DatasetContents?

  public var name: String { DatasetKind.folder.rawValue }
  /// Normalization. It has one channel for images that are made gray, or three.
  public let normalization: Normalization
  public var shape: Shape { [items.count, imageSize, imageSize, normalization.mean.count] }

  /// - Parameter evaluation: preparation of images that are not cropped at random; nil for the usual one.
  /// - Precondition: the folder has images, the size is positive and equal to the crop of `evaluation`, and the normalization
  ///   has one channel or three.
  public init(
    _ folder: ImageFolder, imageSize: Int, evaluation: EvaluationTransform? = nil, normalization: Normalization = .imageNet,
    damaged: DamagedImages = .fail
  ) {
    precondition([1, 3].contains(normalization.mean.count), "[PhotographDataset] \(normalization.mean.count) channels")
    precondition(
      !folder.samples.isEmpty && imageSize > 0, "[PhotographDataset] \(folder.samples.count) images of \(imageSize) pixels")
    var checksum = Checksum()
    for sample in folder.samples {
      checksum.add(sample.path.utf8.dropFirst(folder.path.utf8.count))
      checksum.add("\0\(sample.label)\0".utf8)
    }
    classes = folder.classes
    items = folder.samples.enumerated().map { ImageItem(path: $1.path, label: $1.label, sample: $0) }
    self.imageSize = imageSize
    self.evaluation = evaluation ?? .usual(crop: imageSize)
    precondition(self.evaluation.crop == imageSize, "[PhotographDataset] \(self.evaluation) for images of \(imageSize) pixels")
    self.normalization = normalization
    self.damaged = damaged
    ignored = folder.ignored
    contents = DatasetContents(count: folder.samples.count, checksum: checksum.text)
  }

  /// Renumbers the classes.
  /// - Parameters:
  ///   - numbers: new number of each class.
  ///   - names: names of the classes, in the order of the new numbers.
  /// - Precondition: every number occurs once.
  public func renumbered(_ numbers: [Int], names: [String]) -> PhotographDataset {
    precondition(
      numbers.sorted() == Array(classes.indices) && names.count == classes.count, "[PhotographDataset] class numbers \(numbers)")
    var copy = self
    copy.classes = names
    copy.items = items.map { ImageItem(path: $0.path, label: Int32(numbers[Int($0.label)]), sample: $0.sample) }
    return copy
  }

  public func prefix(_ count: Int) -> PhotographDataset {
    precondition(count > 0, "[PhotographDataset] a prefix of \(count) samples")
    if count >= items.count { return self }
    var turns = [Int](repeating: 0, count: classes.count)
    let ranked = items.map { item in
      defer { turns[Int(item.label)] += 1 }
      return (turn: turns[Int(item.label)], item: item)
    }
    var copy = self
    copy.items = ranked.sorted { ($0.turn, $0.item.label) < ($1.turn, $1.item.label) }.prefix(count).map(\.item)
    return copy
  }

  public func loader(
    crop: RandomResizedCrop?, _ augmentation: Augmentation?, seed: UInt64, epoch: Int
  ) -> any ImageLoader {
    precondition(crop.map { $0.size == imageSize } ?? true, "[PhotographDataset] crops of \(crop?.size ?? 0) pixels")
    let transform: any ImageTransform =
      if let crop {
        TrainingTransform(crop, seed: seed, epoch: epoch)
      } else if let augmentation, augmentation.padding > 0 || augmentation.flip {
        PaddedCropTransform(size: imageSize, augmentation: augmentation, seed: seed, epoch: epoch)
      } else {
        evaluation
      }
    let changes = augmentation?.pixelAugmentation(seed: seed, epoch: epoch)
    let loader = FileLoader(changes.map { AugmentedTransform(transform, $0) } ?? transform)
    return shape[3] == 1 ? GrayLoader(loader) : loader
  }
}

/// Transform for photographs that are already small: resizes the shorter side to that of the network, adds zeros on every
/// side, takes a crop at a random position and mirrors it at random. These are torchvision's `Resize`, `RandomCrop` and
/// `RandomHorizontalFlip`.
struct PaddedCropTransform: ImageTransform {
  /// Side of the result in pixels.
  let size: Int
  let augmentation: Augmentation
  let seed: UInt64
  let epoch: Int

  var height: Int { size }
  var width: Int { size }

  func apply(_ image: EncodedImage, sample: Int, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
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
