import Compute
import Images
import Support

/// Labeled images, wherever they are stored.
public protocol LabeledImages: Sendable {
  /// Name by which the user calls the data set, for example `fashion-mnist`.
  var name: String { get }
  /// Shape [N,H,W,C], as the network sees the images.
  var shape: Shape { get }
  /// Names of the classes in the order of their labels.
  var classes: [String] { get }
  /// Whether ``classes`` are real names; false if they are made up from the labels' numbers.
  var namesClasses: Bool { get }
  var normalization: Normalization { get }

  /// Fingerprint of the images, as files may change between two runs; nil if there is none.
  var contents: DatasetContents? { get }

  /// Returns the first `count` samples, or all if there are fewer. If samples come class by class, takes the first of each
  /// class in turn.
  /// - Precondition: `count` is positive.
  func prefix(_ count: Int) -> Self
}

extension LabeledImages {
  /// Number of samples, N.
  public var count: Int { shape[0] }

  public var contents: DatasetContents? { nil }

  public var namesClasses: Bool { true }
}

/// Fingerprint of a data set's images, which shows whether they have changed.
public struct DatasetContents: Hashable, Codable, Sendable {
  /// Number of images.
  public var count: Int
  /// Checksum of the images' paths within the folder and their labels, in order. For images in memory, checksum of the labels
  /// and the first images.
  public var checksum: String
}

/// Images that are brought to a device batch by batch. Threads on the host make them when they are needed.
public protocol StreamedImages: LabeledImages {
  /// Items in the order of the data set. The number of an item is its position, unless the data set is part of a larger one.
  var items: [ImageItem] { get }
  /// Treatment of images that cannot be loaded.
  var damaged: DamagedImages { get }

  /// Returns a loader of the bytes [H,W,C] of an epoch's images.
  /// - Parameters:
  ///   - crop: random crops of photographs; nil for none.
  ///   - augmentation: further random changes; nil for images to measure on.
  /// - Throws: a ``Failure`` if images of this kind cannot be changed in this way.
  func loader(
    crop: RandomResizedCrop?, _ augmentation: Augmentation?, seed: UInt64, epoch: Int
  ) throws -> any ImageLoader
}

/// Labeled images in ordinary memory.
public struct Dataset: LabeledImages {
  /// Name by which the user calls the data set, for example `fashion-mnist`.
  public let name: String
  /// Images, uint8 or float32 [N,H,W,C].
  public let images: HostTensor
  /// Labels, int32 [N], each at least 0 and below `classes.count`.
  public let labels: HostTensor
  /// Names of the classes in the order of their labels; their numbers if the data set has no names.
  public let classes: [String]
  /// Whether the data set names its classes itself.
  public let namesClasses: Bool
  /// Normalization from pixels to the network's input.
  public let normalization: Normalization

  /// - Precondition: the shapes and types are as documented at the properties, and N, H, W and C are positive.
  public init(
    name: String, images: HostTensor, labels: HostTensor, classes: [String], namesClasses: Bool = true,
    normalization: Normalization
  ) {
    precondition(
      images.shape.rank == 4 && images.count > 0 && (images.type == .uint8 || images.type == .float32),
      "[Dataset] images \(images.shape) of \(images.type)")
    precondition(
      labels.shape == [images.shape[0]] && labels.type == .int32,
      "[Dataset] labels \(labels.shape) of \(labels.type) for images \(images.shape)")
    precondition(
      normalization.mean.count == images.shape[3] && normalization.deviation.count == images.shape[3],
      "[Dataset] \(normalization.mean.count) means for images \(images.shape)")
    self.name = name
    self.images = images
    self.labels = labels
    self.classes = classes
    self.namesClasses = namesClasses
    self.normalization = normalization
  }

  public var shape: Shape { images.shape }

  public var contents: DatasetContents? {
    var checksum = Checksum()
    checksum.add(labels.bytes)
    checksum.add(images.bytes.prefix(1 << 16))
    return DatasetContents(count: count, checksum: checksum.text)
  }

  /// Returns the first `count` samples, or all if there are fewer.
  /// - Precondition: `count` is positive.
  public func prefix(_ count: Int) -> Dataset {
    precondition(count > 0, "[Dataset] a prefix of \(count) samples")
    if count >= self.count { return self }
    let shape = Shape([count] + images.shape.dimensions.dropFirst())
    return Dataset(
      name: name,
      images: HostTensor(shape: shape, type: images.type, bytes: Array(images.bytes.prefix(shape.count * images.type.byteCount))),
      labels: HostTensor(shape: [count], type: .int32, bytes: Array(labels.bytes.prefix(4 * count))),
      classes: classes, namesClasses: namesClasses, normalization: normalization)
  }

  /// Note about classes without images; nil if each class has one, or if the classes have names of their own.
  var emptyClassesNote: String? {
    if namesClasses { return nil }
    let found = Set(labels.elements(as: Int32.self))
    let empty = classes.indices.filter { !found.contains(Int32($0)) }
    if empty.isEmpty { return nil }
    let shown = empty.prefix(5).map(String.init).joined(separator: ", ") + (empty.count > 5 ? ", …" : "")
    return empty == [0]
      ? "no image to train on has the label 0, and the class 0 stays empty: labels count from 0, these seem to count from 1"
      : "no image to train on has the label \(shown): of \(classes.count) classes \(empty.count) stay empty"
  }

  /// Returns the class names `0`, `1` … for a data set that does not name its classes.
  static func numberedClasses(_ count: Int) -> [String] { (0..<count).map(String.init) }
}

/// Images to train on and images to measure on, of the same size and the same classes.
public struct DatasetSplits: Sendable {
  /// Images to train on.
  public var train: Dataset
  /// Images to measure on, of the same classes.
  public var validation: Dataset

  /// Combines two sets that belong together.
  public init(train: Dataset, validation: Dataset) {
    self.train = train
    self.validation = validation
  }
}

/// Images to train on and images to measure on, of the same size and the same classes, wherever they are stored.
public struct LabeledSplits: Sendable {
  /// Images to train on, and images to measure on.
  public var train, validation: any LabeledImages
  /// Notes for the user: the images that were taken, and anything odd about the labels.
  public var notes: [String]

  /// - Precondition: both sets have the same image size and the same classes.
  public init(train: any LabeledImages, validation: any LabeledImages, notes: [String] = []) {
    self.train = train
    self.validation = validation
    self.notes = notes
  }

  /// Wraps images in memory.
  public init(_ splits: DatasetSplits) {
    self.init(train: splits.train, validation: splits.validation, notes: splits.train.emptyClassesNote.map { [$0] } ?? [])
  }
}

/// Normalization of a stored pixel to the network's input: x = (pixel / range − mean[c]) / deviation[c].
public struct Normalization: Hashable, Codable, Sendable {
  /// Stored value that counts as 1: 255 for bytes, 1 for values that are used as they are.
  public let range: Float
  /// Mean and standard deviation of each channel over the training set, in units of `range`.
  public let mean, deviation: [Float]

  /// - Parameters:
  ///   - range: largest value of a pixel.
  ///   - mean: mean of each channel, in units of `range`.
  ///   - deviation: standard deviation of each channel, in units of `range`, above 0.
  public init(range: Float = 255, mean: [Float], deviation: [Float]) {
    self.range = range
    self.mean = mean
    self.deviation = deviation
  }

  /// Whether it suits images with this number of channels and gives finite numbers.
  public func fits(channels: Int) -> Bool {
    mean.count == channels && deviation.count == channels && range.isFinite && range > 0 && mean.allSatisfy(\.isFinite)
      && deviation.allSatisfy { $0.isFinite && $0 > 0 }
  }

  /// Returns the network's input for pixels [...,C]: float32 of the same count.
  public func applied(to pixels: some Collection<UInt8>) -> [Float] {
    let channels = mean.count
    let map = zip(mean, deviation).map { mean, deviation in (0..<256).map { (Float($0) / range - mean) / deviation } }
    return pixels.enumerated().map { map[$0 % channels][Int($1)] }
  }

  /// Returns the identity, x = pixel.
  public static func none(channels: Int) -> Normalization {
    Normalization(
      range: 1, mean: [Float](repeating: 0, count: channels), deviation: [Float](repeating: 1, count: channels))
  }

  /// Normalization of color bytes that torchvision's models of the ImageNet family expect.
  public static let imageNet = Normalization(mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// Normalization of gray bytes: ``imageNet`` with the means over the colors.
  public static let imageNetGray = Normalization(mean: [0.449], deviation: [0.226])

  /// Normalization in the form x = pixel·scale + shift, as
  /// ``Backend/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)`` takes it: float32 [2,C], first
  /// scale = 1 / (range·deviation), then shift = −mean / deviation.
  public var channelMap: HostTensor {
    let scales = deviation.map { 1 / (range * $0) }
    let shifts = zip(mean, deviation).map { -$0 / $1 }
    return HostTensor(scales + shifts, shape: [2, mean.count])
  }
}
