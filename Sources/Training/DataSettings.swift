import Datasets
import Images

/// Images that a run trains and validates on.
public struct DataSettings: Hashable, Codable, Sendable {
  /// Name of the data set: that of a ``DatasetKind``, or any other for images that a program made.
  public var name: String
  /// Folder or file of the data set; nil for the place where the system keeps it.
  public var path: String?
  /// CSV file with the classes of photographs; nil if their folders tell them.
  public var labels: String?
  /// Maximum number of training images: the first ones are used, of a folder the first of each class in turns. Nil for all.
  public var limitTrain: Int?
  /// Maximum number of validation images, taken as ``limitTrain`` takes them. Nil for all.
  public var limitValidation: Int?
  /// Share of the training images that is validated on; nil for the validation images of the data set. `TrainingData` sets it.
  public var validationShare: ValidationShare?
  /// Preparation of photographs; nil for data sets whose images have a size of their own.
  public var photographs: PhotographSettings?
  /// Fingerprints of the data set at the start of the run; nil before it, and in runs from before they were kept.
  public var contents: SplitContents?

  /// Creates the settings of a data set that is used as a whole.
  public init(name: String, path: String? = nil, photographs: PhotographSettings? = nil) {
    (self.name, self.path, self.photographs) = (name, path, photographs)
  }
}

extension ImageSplits {
  /// Returns the images that a run with these settings uses.
  package func limited(by data: DataSettings) -> ImageSplits {
    var limited = self
    if let limit = data.limitTrain { limited.train = train.prefix(limit) }
    if let limit = data.limitValidation { limited.validation = validation.prefix(limit) }
    return limited
  }
}

/// Preparation of photographs, which come in all sizes, for the network.
public struct PhotographSettings: Hashable, Codable, Sendable {
  /// Height and width of the images that the network sees, in pixels.
  public var imageSize: Int
  /// Preparation of photographs that are not cropped at random.
  public var evaluation: EvaluationRecipe
  /// Normalization for the network's input.
  public var normalization: Normalization
  /// Treatment of photographs that cannot be decoded.
  public var damaged: DamagedImages

  public init(
    imageSize: Int, evaluation: EvaluationRecipe = EvaluationRecipe(), normalization: Normalization = .imageNet,
    damaged: DamagedImages = .fail
  ) {
    (self.imageSize, self.evaluation, self.normalization, self.damaged) = (imageSize, evaluation, normalization, damaged)
  }
}
