import Compute
import Datasets
import Images
import Support
import Training

/// Images to train and to validate on.
///
/// ```swift
/// let flowers = TrainingData.folder("flowers")       // flowers/train/rose/1.jpg, flowers/val/rose/2.jpg …
/// let clothes = TrainingData.fashionMNIST()
/// ```
public struct TrainingData: Sendable {
  package enum Source: Sendable {
    case kind(DatasetKind, path: String?, labels: String?)
    case images(ImageSplits)
  }

  package let source: Source
  /// Share of the training images that is validated on; nil for the validation images of the data set.
  package let validationShare: ValidationShare?

  package init(_ source: Source) { (self.source, validationShare) = (source, nil) }

  /// A data set by its kind.
  /// - Parameters:
  ///   - kind: the kind of data set.
  ///   - path: the folder or file of the data set; nil for the place where the system keeps it.
  ///   - labels: CSV file with the classes of the photographs; nil if their folders tell them.
  ///   - validationShare: share of the training images to validate on; nil for the images that the data set has for it.
  public init(
    _ kind: DatasetKind, path: String? = nil, labels: String? = nil, validationShare: ValidationShare? = nil
  ) {
    source = .kind(kind, path: path, labels: labels)
    self.validationShare = validationShare
  }

  /// A folder or archive of photographs, `PATH/train/CLASS/…` and `PATH/val/CLASS/…`, or `PATH/CLASS/…` of which a share
  /// validates, a tenth by default.
  /// - Parameters:
  ///   - path: path of the folder or archive.
  ///   - labels: CSV file with a path and a class for each image, and perhaps a split; nil if the folders tell the classes.
  ///   - validationShare: share of the training images to validate on; nil for the images that the data set has for it.
  public static func folder(
    _ path: String, labels: String? = nil, validationShare: ValidationShare? = nil
  ) -> TrainingData {
    TrainingData(.folder, path: path, labels: labels, validationShare: validationShare)
  }

  /// Fashion-MNIST, which Debian installs as `dataset-fashion-mnist`.
  public static func fashionMNIST(_ path: String? = nil) -> TrainingData { TrainingData(.fashionMNIST, path: path) }

  /// Images that are in memory, or made as they are needed.
  public static func images(_ splits: ImageSplits) -> TrainingData { TrainingData(.images(splits)) }

  /// Name of the data set in messages and checkpoints.
  var name: String {
    switch source {
    case .kind(let kind, _, _): kind.rawValue
    case .images(let splits): splits.train.name
    }
  }

  var kind: DatasetKind? { if case .kind(let kind, _, _) = source { kind } else { nil } }
  var images: ImageSplits? { if case .images(let splits) = source { splits } else { nil } }
  var path: String? { if case .kind(_, let path, _) = source { path } else { nil } }
  var labels: String? { if case .kind(_, _, let labels) = source { labels } else { nil } }

  /// Whether the images are photographs in files, which are brought to a size that the network decides.
  var isPhotographic: Bool { kind == .folder }

  func open(
    imageSize: Int, evaluation: EvaluationRecipe?, normalization: Normalization?, damaged: DamagedImages,
    progress: ReadingProgress? = nil
  ) throws -> ImageSplits {
    switch source {
    case .kind(let kind, let path, let labels):
      try kind.open(
        from: path, labels: labels, imageSize: imageSize, evaluation: evaluation, normalization: normalization,
        damaged: damaged, validationShare: validationShare, progress: progress)
    case .images(let splits): splits
    }
  }
}
