import Compute
import Images
import Support

/// Labeled images in ordinary memory.
///
/// ```swift
/// let pixels = HostTensor([UInt8](repeating: 128, count: 64 * 32 * 32 * 3), shape: [64, 32, 32, 3])
/// let labels = HostTensor((0..<64).map { Int32($0 % 2) }, shape: [64])
/// let images = Dataset(
///   name: "squares", images: pixels, labels: labels, classes: ["light", "dark"], normalization: .imageNet)
/// ```
public struct Dataset: ImageSource {
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

  public var items: [ImageItem] {
    labels.elements(as: Int32.self).enumerated().map { ImageItem(path: "", label: $1, sample: $0) }
  }

  public var pixelType: DataType { images.type }

  public var pixels: HostTensor? { images }

  public func loader() -> any ImageLoader { MemoryLoader(images) }

  public var contents: DatasetContents? { DatasetContents(self) }

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

  /// Returns the images that `isTaken` holds for, in their order.
  /// - Precondition: it holds for at least one.
  private func subset(where isTaken: [Bool]) -> Dataset {
    let bytes = images.bytes.count / count
    let taken = isTaken.indices.filter { isTaken[$0] }
    let values = labels.elements(as: Int32.self)
    return Dataset(
      name: name,
      images: HostTensor(
        shape: Shape([taken.count] + images.shape.dimensions.dropFirst()), type: images.type,
        bytes: taken.flatMap { images.bytes[$0 * bytes..<($0 + 1) * bytes] }),
      labels: HostTensor(taken.map { values[$0] }, shape: [taken.count]), classes: classes, namesClasses: namesClasses,
      normalization: normalization)
  }

  /// Sets a share of each class apart for validation.
  /// - Throws: a ``Failure`` for a share that is not between 0 and 1, and for a class with a single image.
  func divided(_ share: ValidationShare) throws -> DatasetSplits {
    let apart = try share.selection(labels.elements(as: Int32.self)) { "class \(printable(classes[$0])) of \(name)" }
    return DatasetSplits(train: subset(where: apart.map { !$0 }), validation: subset(where: apart))
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
///
/// ```swift
/// let splits = try DatasetKind.fashionMNIST.load()
/// print(splits.train.shape, splits.validation.shape)
/// ```
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
