import Images
import Support

/// Data sets that can be requested by name.
///
/// ```swift
/// let kind = try DatasetKind(named: "cifar10")
/// let data = TrainingData(kind, path: "cifar-10-batches-bin")
/// ```
public enum DatasetKind: String, CaseIterable, Sendable {
  case fashionMNIST = "fashion-mnist"
  case mnist
  case cifar10
  case cifar100
  case tensors
  case folder
  case synthetic

  /// Finds a data set by its name.
  /// - Throws: a ``Failure`` that lists the known names.
  public init(named name: String) throws {
    guard let kind = DatasetKind(rawValue: name) else {
      let known = Self.allCases.map(\.rawValue)
      let hint = nearest(to: name, among: known).map { "; the nearest is \($0)" } ?? ""
      throw Failure(.invalidSetting, "unknown data set '\(name)'\(hint); known are \(known.joined(separator: ", "))")
    }
    self = kind
  }

  /// Opens the data set. Reads it into memory, except for ``folder``, whose images are read when they are needed.
  /// - Parameters:
  ///   - path: file or folder of the data set; nil for the place where the system keeps it. For ``folder``, the folder that
  ///     contains the classes' folders.
  ///   - labels: CSV file with the classes of the images of ``folder``, and perhaps their splits; nil if their folders tell them.
  ///   - imageSize: height and width of the images of ``folder``; the other data sets have their own.
  ///   - evaluation: preparation of the images of ``folder`` that are not cropped at random; nil for the usual one.
  ///   - normalization: normalization of the images of ``folder``; nil for ImageNet's. If it has one channel, the images
  ///     become gray.
  ///   - damaged: treatment of images of ``folder`` that cannot be decoded.
  ///   - validationShare: share of the training images to validate on; see ``load(from:synthetic:validationShare:)``.
  ///   - progress: called while the images of ``folder`` are looked for; nil for nothing.
  /// - Throws: a ``Failure`` that names the file, the reason and a remedy.
  public func open(
    from path: String?, labels: String? = nil, imageSize: Int, evaluation: EvaluationRecipe? = nil,
    normalization: Normalization? = nil, damaged: DamagedImages = .fail, validationShare: ValidationShare? = nil,
    progress: ReadingProgress? = nil
  ) throws -> ImageSplits {
    guard self == .folder else {
      var splits = ImageSplits(try load(from: path, validationShare: validationShare))
      if let validationShare {
        splits.notes.insert(
          "to validate on: \(validationShare.description) of each class of the training images, set apart", at: 0)
      }
      return splits
    }
    try validationShare?.validate()
    if let path { try requireKind(of: path) }
    let evaluation = try evaluation?.transform(crop: imageSize)
    if let normalization { try PhotographDataset.checkChannels(of: normalization) }
    let splits = try ImageFolderSplits(
      try folderPath(path, labels), labels: labels, share: validationShare, progress: progress)
    func dataset(_ folder: ImageFolder) -> PhotographDataset {
      PhotographDataset(
        folder, imageSize: imageSize, evaluation: evaluation, normalization: normalization ?? .imageNet, damaged: damaged)
    }
    return ImageSplits(train: dataset(splits.train), validation: dataset(splits.validation), notes: splits.notes)
  }

  /// Opens the photographs of a folder on which a network is measured: all images of a folder that contains the classes'
  /// folders. From a folder with the parts of a data set, takes the part to measure on; it needs no part to train on.
  /// - Parameters:
  ///   - path: as in ``open(from:labels:imageSize:evaluation:normalization:damaged:validationShare:progress:)``, and likewise the others;
  ///     the normalization has one channel or three.
  ///   - part: part of the data set to measure on; nil for the usual one.
  /// - Returns: the images, and which images they are.
  /// - Throws: a ``Failure`` that names the file, the reason and a remedy.
  public static func openMeasuredFolder(
    _ path: String?, labels: String? = nil, imageSize: Int, normalization: Normalization = .imageNet,
    damaged: DamagedImages = .fail, part: ImageFolderPart? = nil, progress: ReadingProgress? = nil
  ) throws -> (images: PhotographDataset, source: MeasuredFolder) {
    if let path { try folder.requireKind(of: path) }
    let place = try folder.folderPath(path, labels)
    let source =
      try part.map { try MeasuredFolder(place, $0, labels: labels, progress: progress) }
      ?? MeasuredFolder(place, labels: labels, progress: progress)
    let images = PhotographDataset(source.folder, imageSize: imageSize, normalization: normalization, damaged: damaged)
    return (images, source)
  }

  /// Reads the data set into memory.
  /// - Precondition: it is not ``folder``, which is never in memory as a whole.
  /// - Parameters:
  ///   - path: folder of the data set's files; the file for ``tensors``; nil for the place where the system keeps it.
  ///   - synthetic: the images that ``synthetic`` makes.
  ///   - validationShare: share of the training images to validate on, instead of on the test images; nil for the images that the
  ///     data set has for it.
  /// - Throws: a ``Failure`` that names the file, the reason and a remedy.
  public func load(
    from path: String? = nil, synthetic: SyntheticImages = SyntheticImages(), validationShare: ValidationShare? = nil
  ) throws -> DatasetSplits {
    if let path { try requireKind(of: path) }
    switch self {
    case .tensors: return try TensorFile.load(try needed(path, "a safetensors file with images and labels"), validationShare)
    case .synthetic where validationShare != nil:
      throw Failure(
        .conflictingSetting, "the data set 'synthetic' has images to validate on, so none are set apart",
        remedy: "leave \(Setting.validationShare) out")
    default:
      let splits = try loadWhole(from: path, synthetic)
      return try validationShare.map { try splits.train.divided($0) } ?? splits
    }
  }

  private func loadWhole(from path: String?, _ synthetic: SyntheticImages) throws -> DatasetSplits {
    switch self {
    case .fashionMNIST: return try MNIST.fashion(path)
    case .mnist: return try MNIST.digits(try needed(path, "the folder of its four files"))
    case .cifar10: return try CIFAR.ten(try needed(path, "the folder of its binary version"))
    case .cifar100: return try CIFAR.hundred(try needed(path, "the folder of its binary version"))
    case .folder, .tensors: preconditionFailure("[DatasetKind] \(rawValue) is not read as a whole")
    case .synthetic:
      guard path == nil else {
        throw Failure(
          .invalidSetting, "the data set 'synthetic' is made, not read", remedy: "leave \(Setting.data) out")
      }
      return synthetic.splits()
    }
  }

  /// Returns the images of one part of the data set. Where the only other images are for tests, they are those to validate on,
  /// too.
  /// - Precondition: it is not ``folder``.
  /// - Parameter path: as in ``load(from:synthetic:validationShare:)``.
  /// - Throws: a ``Failure`` as there, and if there is no such part.
  public func load(_ part: ImageFolderPart, from path: String?) throws -> Dataset {
    let splits = try load(from: path)
    switch (self, part) {
    case (_, .train): return splits.train
    case (.tensors, .test), (.synthetic, .test):
      throw Failure(
        .notFound, "the data set '\(rawValue)' has no test part", remedy: "name another part (\(Setting.split))")
    default: return splits.validation
    }
  }

  /// Default augmentation of the data set.
  public var defaultAugmentation: Augmentation {
    switch self {
    case .fashionMNIST, .cifar10, .cifar100: Augmentation()
    case .mnist: Augmentation(crop: .padded(pixels: 2), flip: false)  // A mirrored digit is a different character.
    case .folder: Augmentation(crop: .randomResized())
    case .tensors, .synthetic: .none
    }
  }

  private static let folderContents = "a folder or an archive with train/CLASS/… and val/CLASS/…, or CLASS/…, of images"

  /// Checks that the path is of the kind that the data set needs, a file or a folder. A missing path is reported later.
  /// - Throws: a ``Failure`` for a file where a folder is needed, and for a folder where a file is needed.
  private func requireKind(of path: String) throws {
    let what: Message? =
      switch self {
      case .tensors where InputFile.isFolder(path): "a folder, but the data set 'tensors' is a safetensors file"
      case .folder where isFile(path) && !ImageArchive.isArchive(path):
        "a file, but the data set 'folder' is \(Self.folderContents)"
      case .mnist, .fashionMNIST, .cifar10, .cifar100:
        isFile(path) ? "a file, but the data set '\(rawValue)' is the folder of its files" : nil
      default: nil
      }
    if let what { throw Failure(.invalidSetting, about: path, what) }
  }

  private func isFile(_ path: String) -> Bool { InputFile.exists(path) && !InputFile.isFolder(path) }

  /// Returns the folder of the images, which is that of the labels if none is given.
  private func folderPath(_ path: String?, _ labels: String?) throws -> String {
    try path ?? labels.map(Folder.parent) ?? needed(path, Self.folderContents)
  }

  private func needed(_ path: String?, _ what: String) throws -> String {
    guard let path else {
      throw Failure(.invalidSetting, "the data set '\(rawValue)' needs \(Setting.data): \(what)")
    }
    return path
  }
}
