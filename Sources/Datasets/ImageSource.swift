import Compute
import Images
import Support

/// Labeled images of one size, wherever they are stored. Networks train and are measured on every type that conforms.
///
/// A type of your own needs a name, a shape, classes, a normalization, items, a loader of pixels, and prefixes. The other
/// members have defaults.
///
/// ```swift
/// func describe(_ images: any ImageSource) {
///   print(images.name, images.shape, images.classes)
/// }
/// ```
public protocol ImageSource: Sendable {
  /// Name by which the user calls the data set, for example `fashion-mnist`.
  var name: String { get }
  /// Shape [N,H,W,C], as the network sees the images.
  var shape: Shape { get }
  /// Names of the classes in the order of their labels.
  var classes: [String] { get }
  /// Whether ``classes`` are real names; false if they are made up from the labels' numbers. True by default.
  var namesClasses: Bool { get }
  /// Normalization from pixels to the network's input.
  var normalization: Normalization { get }
  /// Fingerprint of the images, as files may change between two runs; nil, the default, if there is none.
  var contents: DatasetContents? { get }

  /// Items in the order of the data set. The number of an item is its position, unless the data set is part of a larger one.
  var items: [ImageItem] { get }
  /// Type of a pixel's values: uint8, the default, or float32.
  var pixelType: DataType { get }
  /// All pixels, [N,H,W,C] of ``pixelType``, if they are in memory; nil, the default, if a loader makes them when they are
  /// needed.
  var pixels: HostTensor? { get }
  /// Treatment of images that cannot be loaded. The default is ``DamagedImages/fail``.
  var damaged: DamagedImages { get }
  /// Paths of files that were found among the images and are no images; none by default.
  var ignored: [String] { get }

  /// Returns a loader of the images' pixels [H,W,C] as they are measured on, without random changes.
  func loader() throws -> any ImageLoader

  /// Returns a loader of the randomly changed pixels [H,W,C] of an epoch's images. By default it crops, mirrors and changes what
  /// ``loader()`` loads.
  /// - Parameters:
  ///   - crop: random crops of photographs; nil for none. The default ignores them, as its images have one size already.
  ///   - augmentation: further random changes; nil for none.
  /// - Throws: a ``Failure`` if images of this kind cannot be changed in this way.
  func loader(
    crop: RandomResizedCrop?, _ augmentation: Augmentation?, seed: UInt64, epoch: Int
  ) throws -> any ImageLoader

  /// Returns the same images for a network that takes them in another size; nil, the default, for images that have a size of their
  /// own.
  /// - Parameters:
  ///   - height: height of the images in pixels, above 0; `width` likewise.
  func resized(height: Int, width: Int) -> Self?

  /// Returns images that show crops of the four corners and the center, and the places of these five crops in each of them. By
  /// default these are the images themselves.
  /// - Parameters:
  ///   - height: height of a crop; `width` likewise.
  /// - Throws: a ``Failure`` if the images are not larger than the crops.
  func fiveCrops(height: Int, width: Int) throws -> (images: any ImageSource, areas: [PixelArea])

  /// Returns the first `count` samples, or all if there are fewer. If samples come class by class, takes the first of each
  /// class in turn.
  /// - Precondition: `count` is positive.
  func prefix(_ count: Int) -> Self
}

extension ImageSource {
  /// Number of samples, N.
  public var count: Int { shape[0] }

  public var namesClasses: Bool { true }

  public var contents: DatasetContents? { nil }

  public var pixelType: DataType { .uint8 }

  public var pixels: HostTensor? { nil }

  public var damaged: DamagedImages { .fail }

  public var ignored: [String] { [] }

  public func resized(height: Int, width: Int) -> Self? { nil }

  public func loader(
    crop: RandomResizedCrop?, _ augmentation: Augmentation?, seed: UInt64, epoch: Int
  ) throws -> any ImageLoader {
    guard let augmentation else { return try loader() }
    try requirePixels(for: augmentation)
    return AugmentedLoader(
      try loader(), augmentation, height: shape[1], width: shape[2], channels: shape[3], seed: seed, epoch: epoch)
  }

  public func fiveCrops(height: Int, width: Int) throws -> (images: any ImageSource, areas: [PixelArea]) {
    guard height <= shape[1], width <= shape[2], (height, width) != (shape[1], shape[2]) else {
      throw Failure(
        .invalidSetting, "ten crops of \(height)×\(width) need images that are larger, these have \(shape[1])×\(shape[2])",
        remedy: "mirror them instead (flip)")
    }
    return (self, FiveCrops.areas(height: shape[1], width: shape[2], of: height, width))
  }

  /// Checks that there are images, one for each row of ``shape``, and that each label is the number of a class. Devices look a
  /// label's output up without a check.
  /// - Parameter count: number of classes.
  /// - Throws: a ``Failure`` if not.
  package func requireLabels(below count: Int) throws {
    let items = items
    guard !items.isEmpty, items.count == shape[0] else {
      throw Failure(.mismatch, "\(name) has \(items.count) images, and its shape is \(shape)")
    }
    if let wrong = items.first(where: { !(0..<count).contains(Int($0.label)) }) {
      throw Failure(.mismatch, "image \(wrong.sample) of \(name) has the label \(wrong.label), and there are \(count) classes")
    }
  }

  /// Checks that the images are bytes in one or three channels if their colors are to change, as changes of color are defined
  /// for these.
  /// - Throws: a ``Failure`` if they are not.
  public func requirePixels(for augmentation: Augmentation?) throws {
    guard augmentation?.changesPixels == true, pixelType != .uint8 || ![1, 3].contains(shape[3]) else { return }
    throw Failure(
      .invalidSetting,
      "\(Setting.colorJitter) and \(Setting.trivialAugment) need images of bytes in 1 or 3 channels, but those of \(name) are "
        + "\(pixelType) in \(shape[3])",
      remedy: "leave them out")
  }
}

/// Images to train on and images to measure on, of the same size and the same classes, wherever they are stored.
///
/// ```swift
/// let flowers = try DatasetKind.folder.open(from: "flowers", imageSize: 224)
/// print(flowers.train.count, flowers.validation.count)
/// let session = try TrainingSession("resnet18", on: .images(flowers))
/// ```
public struct ImageSplits: Sendable {
  /// Images to train on, and images to measure on.
  public var train, validation: any ImageSource
  /// Notes for the user: the images that were taken, and anything odd about the labels.
  public var notes: [String]

  /// - Precondition: both sets have the same image size and the same classes.
  public init(train: any ImageSource, validation: any ImageSource, notes: [String] = []) {
    self.train = train
    self.validation = validation
    self.notes = notes
  }

  /// Wraps images in memory.
  public init(_ splits: DatasetSplits) {
    self.init(train: splits.train, validation: splits.validation, notes: splits.train.emptyClassesNote.map { [$0] } ?? [])
  }
}
