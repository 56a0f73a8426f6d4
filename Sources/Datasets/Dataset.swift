import Compute
import Formats
import Images

/// Labelled images, wherever they are kept.
public protocol LabelledImages: Sendable {
  /// What the user calls them, for example `fashion-mnist`.
  var name: String { get }
  /// [N,H,W,C], as the network sees them.
  var shape: Shape { get }
  /// The classes' names in the order of their labels.
  var classes: [String] { get }
  /// Whether ``classes`` are names; false where they are made up, the labels' numbers.
  var namesClasses: Bool { get }
  var normalization: Normalization { get }

  /// A fingerprint of the images, as files may change between two runs; nil where there is none.
  var contents: DatasetContents? { get }

  /// The first `count` samples, or all where there are fewer; where they come class by class, the first of each class in turns.
  /// - Precondition: `count` is positive.
  func prefix(_ count: Int) -> Self
}

extension LabelledImages {
  /// The number of samples, N.
  public var count: Int { shape[0] }

  public var contents: DatasetContents? { nil }

  public var namesClasses: Bool { true }
}

/// A fingerprint of a data set's images, which shows whether they have changed.
public struct DatasetContents: Hashable, Codable, Sendable {
  /// The number of images.
  public var count: Int
  /// Checksum of their paths within the folder and their labels, in order; for images in memory, of the labels and the first images.
  public var checksum: String
}

/// Images that are brought to a device batch by batch: made on the host, by threads, when they are needed.
public protocol StreamedImages: LabelledImages {
  /// In the data set's order, with their place in it for a number unless they are part of a larger one.
  var items: [ImageItem] { get }
  /// What happens to images that cannot be loaded.
  var damaged: DamagedImages { get }

  /// What makes the bytes [H,W,C] of an epoch's images.
  /// - Parameters:
  ///   - crop: random crops of photographs; nil for none.
  ///   - augmentation: what else is done by chance; nil for images as they are measured on.
  /// - Throws: a ``Failure`` where the images are not of a kind that this can be done to.
  func loader(
    crop: RandomResizedCrop?, _ augmentation: Augmentation?, seed: UInt64, epoch: Int
  ) throws -> any ImageLoader
}

/// Labelled images in ordinary memory.
public struct Dataset: LabelledImages {
  /// What the user calls it, for example `fashion-mnist`.
  public let name: String
  /// uint8 or float32 [N,H,W,C].
  public let images: HostTensor
  /// int32 [N], each at least 0 and below `classes.count`.
  public let labels: HostTensor
  /// The classes' names in the order of their labels; their numbers where the data set names none.
  public let classes: [String]
  /// Whether the data set names its classes itself.
  public let namesClasses: Bool
  /// How pixels become the network's input.
  public let normalization: Normalization

  /// - Precondition: the shapes and types are as the properties say, and N, H, W and C are positive.
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

  /// The first `count` samples, or all where there are fewer.
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

  /// A note about classes that no image has; nil where each has one, or where the classes have names of their own.
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

  /// `0`, `1` … for a data set that does not name its classes.
  static func numberedClasses(_ count: Int) -> [String] { (0..<count).map(String.init) }
}

/// What is trained on and what is only measured on: images of the same size and the same classes.
public struct DatasetSplits: Sendable {
  /// Images to train on.
  public var train: Dataset
  /// Images to measure on, of the same classes.
  public var validation: Dataset

  /// Two sets that are meant for each other.
  public init(train: Dataset, validation: Dataset) {
    self.train = train
    self.validation = validation
  }
}

/// What is trained on and what is only measured on, wherever they are kept: images of the same size and the same classes.
public struct LabelledSplits: Sendable {
  /// What is trained on, and what is measured on.
  public var train, validation: any LabelledImages
  /// Notes for the user: which images were taken, and what is odd about the labels.
  public var notes: [String]

  /// - Precondition: both are of the same size and have the same classes.
  public init(train: any LabelledImages, validation: any LabelledImages, notes: [String] = []) {
    self.train = train
    self.validation = validation
    self.notes = notes
  }

  /// Images in memory.
  public init(_ splits: DatasetSplits) {
    self.init(train: splits.train, validation: splits.validation, notes: splits.train.emptyClassesNote.map { [$0] } ?? [])
  }
}

/// How a stored pixel becomes the network's input: x = (pixel / range − mean[c]) / deviation[c].
public struct Normalization: Hashable, Codable, Sendable {
  /// The stored value that counts as 1: 255 for bytes, 1 for values that are used as they are.
  public let range: Float
  /// Each channel's mean and standard deviation over the training set, in units of `range`.
  public let mean, deviation: [Float]

  /// - Parameters:
  ///   - range: the largest value of a pixel.
  ///   - mean: of each channel, in units of `range`.
  ///   - deviation: the same, above 0.
  public init(range: Float = 255, mean: [Float], deviation: [Float]) {
    self.range = range
    self.mean = mean
    self.deviation = deviation
  }

  /// Whether it is one of images with so many channels that gives finite numbers.
  public func fits(channels: Int) -> Bool {
    mean.count == channels && deviation.count == channels && range.isFinite && range > 0 && mean.allSatisfy(\.isFinite)
      && deviation.allSatisfy { $0.isFinite && $0 > 0 }
  }

  /// The network's input for pixels [...,C]: float32 of the same count.
  public func applied(to pixels: some Collection<UInt8>) -> [Float] {
    let channels = mean.count
    let map = zip(mean, deviation).map { mean, deviation in (0..<256).map { (Float($0) / range - mean) / deviation } }
    return pixels.enumerated().map { map[$0 % channels][Int($1)] }
  }

  /// x = pixel.
  public static func none(channels: Int) -> Normalization {
    Normalization(
      range: 1, mean: [Float](repeating: 0, count: channels), deviation: [Float](repeating: 1, count: channels))
  }

  /// Of colour bytes, as torchvision's models of the ImageNet family want them.
  public static let imageNet = Normalization(mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])

  /// The same of grey bytes: the means over the colours.
  public static let imageNetGrey = Normalization(mean: [0.449], deviation: [0.226])

  /// The same map as x = pixel·scale + shift, as ``Backend/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)`` takes
  /// it: float32 [2,C], first scale = 1 / (range·deviation), then shift = −mean / deviation.
  public var channelMap: HostTensor {
    let scales = deviation.map { 1 / (range * $0) }
    let shifts = zip(mean, deviation).map { -$0 / $1 }
    return HostTensor(scales + shifts, shape: [2, mean.count])
  }
}
