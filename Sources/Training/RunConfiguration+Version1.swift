import Compute
import Datasets
import Images
import Models
import NN

extension RunConfiguration {
  /// The first form of `config.json`, which has no version number. A missing value has its default.
  struct Version1: Decodable {
    struct Augmentation: Decodable {
      let padding: Int
      let flip: Bool
      let colorJitter: ColorJitter?
      let trivialAugment: Bool?
      let randomErasing: RandomErasing?
      let mixing: BatchMixing?
    }

    // The network and its images.
    let model: ModelConfiguration
    let dataset: String
    let data: String?
    let limitTrain: Int?
    let imageSize: Int?
    let evaluation: EvaluationRecipe?
    let normalization: Normalization?
    let damaged: DamagedImages?
    let contents: SplitContents?
    let augmentation: Augmentation?
    let randomCrop: RandomResizedCrop?
    let shuffle: Bool
    // The optimizer and its schedule.
    let epochs, batchSize: Int
    let accumulate: Int?
    let optimizer: Optimizer.Kind?
    let learningRate, momentum: Double
    let nesterov: Bool
    let weightDecay: Double
    let learningRateScales: [Optimizer.RateScale]?
    let clipNorm: Double?
    let frozen: [String]?
    let averageDecay: Double?
    let schedule: Schedule.Kind
    let warmupEpochs, labelSmoothing: Double
    let recompute: Bool?
    let precision: Precision?
    let seed: UInt64
    let maxSteps: Int?
    let initialWeights: String?
    let shares: [Int]?
  }

  /// Brings the first form into this one.
  /// - Throws: ``DecodingError`` if the random crops are of another size than the images.
  init(_ old: Version1) throws {
    self.init(model: old.model, dataset: old.dataset)
    (data.path, data.limitTrain, data.contents) = (old.data, old.limitTrain, old.contents)
    if old.dataset == DatasetKind.folder.rawValue || old.imageSize != nil {
      data.photographs = PhotographSettings(
        imageSize: old.imageSize ?? 224, evaluation: old.evaluation ?? EvaluationRecipe(),
        normalization: old.normalization ?? .imageNet, damaged: old.damaged ?? .fail)
    }
    augmentation = try Augmentation(old)
    shuffle = old.shuffle
    (epochs, batchSize, accumulate) = (old.epochs, old.batchSize, old.accumulate ?? 1)
    optimizer =
      switch old.optimizer ?? .sgd {
      case .sgd:
        .sgd(
          learningRate: old.learningRate, momentum: old.momentum, nesterov: old.nesterov, weightDecay: old.weightDecay)
      case .adamW: .adamW(learningRate: old.learningRate, weightDecay: old.weightDecay)
      case .lars:
        .lars(
          learningRate: old.learningRate, momentum: old.momentum, nesterov: old.nesterov, weightDecay: old.weightDecay)
      }
    (learningRateScales, clipNorm) = (old.learningRateScales ?? [], old.clipNorm)
    (frozen, averageDecay) = (old.frozen ?? [], old.averageDecay)
    (schedule, warmupEpochs, labelSmoothing) = (old.schedule, old.warmupEpochs, old.labelSmoothing)
    (recompute, precision) = (old.recompute ?? false, old.precision ?? .fp32)
    (seed, maxSteps, initialWeights, shares) = (old.seed, old.maxSteps, old.initialWeights, old.shares)
  }
}

extension Augmentation {
  /// Joins the two values that described augmentation in the first form. Random crops took the place of all others.
  fileprivate init(_ old: RunConfiguration.Version1) throws {
    self = .none
    if let known = old.augmentation {
      // Photographs that are mirrored and get no border are cropped at random along their longer side.
      if known.padding != 0 || known.flip { crop = .padded(pixels: known.padding) }
      flip = known.flip
      colorJitter = known.colorJitter
      trivialAugment = known.trivialAugment ?? false
      randomErasing = known.randomErasing
      mixing = known.mixing
    }
    guard let random = old.randomCrop else { return }
    guard random.size == old.imageSize else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [Place.randomCrop], debugDescription: "the crops are of another size than the images"))
    }
    crop = .randomResized(scale: random.scale, ratio: random.ratio)
    flip = random.flip
  }

  private enum Place: CodingKey { case randomCrop }
}
