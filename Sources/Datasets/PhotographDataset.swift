import Compute
import Images
import Support

/// Photographs in files as a data set. Files are read, decoded and brought to one size when they are needed.
public struct PhotographDataset: ImageSource {
  /// Names of the classes' folders, in the order of the labels.
  public private(set) var classes: [String]
  /// Items in the order of the folder; for a prefix, the classes take turns.
  public private(set) var items: [ImageItem]
  /// Preparation of images that are not cropped at random.
  public private(set) var preparation: ImagePreparation
  /// Treatment of images that cannot be decoded.
  public let damaged: DamagedImages
  /// Files that are not named like images, and are skipped.
  public let ignored: [String]
  /// Images of the whole folder; empty for images whose classes are not known.
  private let samples: [ImageFolder.Sample]

  /// Fingerprint of the whole folder, also for a prefix of it. The files are looked at with each call.
  public var contents: DatasetContents? { samples.isEmpty ? nil : DatasetContents(samples) }

  public var name: String { DatasetKind.folder.rawValue }
  /// Normalization. It has one channel for images that are made gray, or three.
  public private(set) var normalization: Normalization
  public var shape: Shape {
    let transform = preparation.transform
    return [items.count, transform.height, transform.width, normalization.mean.count]
  }

  /// Takes the images of a folder, with a folder for each class.
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
    classes = folder.classes
    items = folder.samples.enumerated().map { ImageItem($1.place, label: $1.label, sample: $0) }
    let evaluation = evaluation ?? .usual(crop: imageSize)
    precondition(evaluation.crop == imageSize, "[PhotographDataset] \(evaluation) for images of \(imageSize) pixels")
    preparation = .center(evaluation)
    self.normalization = normalization
    self.damaged = damaged
    ignored = folder.ignored
    samples = folder.samples
  }

  /// Takes images to classify, whose classes are not known. Their items have the label 0 and are numbered in order.
  /// - Throws: a ``Failure`` if the normalization has neither one channel nor three.
  public init(
    _ images: [ImagePlace], _ preparation: ImagePreparation, normalization: Normalization, damaged: DamagedImages = .fail
  ) throws {
    try Self.checkChannels(of: normalization)
    (classes, ignored, samples) = ([], [], [])
    items = images.enumerated().map { ImageItem($1, label: 0, sample: $0) }
    (self.preparation, self.normalization, self.damaged) = (preparation, normalization, damaged)
  }

  /// Checks that images can be normalized in this way.
  /// - Throws: a ``Failure`` if the normalization has neither one channel nor three.
  static func checkChannels(of normalization: Normalization) throws {
    let channels = normalization.mean.count
    guard [1, 3].contains(channels) else {
      throw Failure(
        .invalidSetting, "photographs have one channel or three, and cannot be normalized as images of \(channels)")
    }
  }

  /// Returns the same images, prepared and normalized in another way.
  /// - Throws: a ``Failure`` if the normalization has neither one channel nor three.
  public func prepared(_ preparation: ImagePreparation, normalization: Normalization) throws -> PhotographDataset {
    try Self.checkChannels(of: normalization)
    var copy = self
    (copy.preparation, copy.normalization) = (preparation, normalization)
    return copy
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
    copy.items = items.map { ImageItem($0.place, label: Int32(numbers[Int($0.label)]), sample: $0.sample) }
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

  /// Resizes photographs in proportion before their center is cut out.
  public func resized(height: Int, width: Int) -> PhotographDataset? {
    guard case .center(let evaluation) = preparation, height == width else { return nil }
    let resize = Int((Double(evaluation.resize) * Double(height) / Double(evaluation.crop)).rounded())
    var copy = self
    copy.preparation = .center(
      EvaluationTransform(resize: max(resize, height), crop: height, interpolation: evaluation.interpolation))
    return copy
  }

  public func loader() -> any ImageLoader { loader(preparation.transform) }

  public func loader(
    crop: RandomResizedCrop?, _ augmentation: Augmentation?, seed: UInt64, epoch: Int
  ) -> any ImageLoader {
    let side = shape[1]
    precondition(crop.map { $0.size == side } ?? true, "[PhotographDataset] crops of \(crop?.size ?? 0) pixels")
    let transform: any ImageTransform =
      if let crop {
        TrainingTransform(crop, seed: seed, epoch: epoch)
      } else if let augmentation, case .padded = augmentation.crop {
        PaddedCropTransform(size: side, augmentation: augmentation, seed: seed, epoch: epoch)
      } else if let augmentation, augmentation.flip {
        MirroringTransform(preparation.transform, augmentation, seed: seed, epoch: epoch)
      } else {
        preparation.transform
      }
    let changes = augmentation?.pixelAugmentation(seed: seed, epoch: epoch)
    return loader(changes.map { AugmentedTransform(transform, $0) } ?? transform)
  }

  private func loader(_ transform: any ImageTransform) -> any ImageLoader {
    let loader = FileLoader(transform)
    return shape[3] == 1 ? GrayLoader(loader) : loader
  }

  public func fiveCrops(height: Int, width: Int) throws -> (images: any ImageSource, areas: [PixelArea]) {
    guard case .center(let evaluation) = preparation else {
      throw Failure(
        .invalidSetting,
        "ten crops are of images that are larger than what the network takes, these are brought to its size as a whole",
        remedy: "mirror them instead (flip)")
    }
    let side = evaluation.crop
    precondition((height, width) == (side, side), "[PhotographDataset] crops of \(height)×\(width) instead of \(side)")
    let crops = FiveCrops(evaluation)
    var copy = self
    copy.preparation = .fiveCrops(crops)
    return (copy, crops.places)
  }
}
