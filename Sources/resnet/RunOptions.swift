import ArgumentParser
import Compute
import Datasets
import Foundation
import Images
import Models
import NN
import Training

extension DatasetKind {
  /// For help texts.
  static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

extension Schedule.Kind: ExpressibleByArgument {}

extension DamagedImages: ExpressibleByArgument {}

extension Optimiser.Kind: ExpressibleByArgument {}

extension Optimiser.RateScale: ExpressibleByArgument {
  /// For example `fc=10`.
  public init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, let factor = Double(parts[1]) else { return nil }
    self.init(prefix: String(parts[0]), factor: factor)
  }
}

/// The options of a new run. All are optional, so that `--resume` can tell whether one was given; the defaults are
/// ``RunConfiguration``'s.
struct RunOptions: ParsableArguments {
  static let defaultModel = "resnet20"
  static let defaultDataset = DatasetKind.fashionMNIST
  private static let defaults = RunConfiguration(
    model: ModelConfiguration(name: defaultModel, classes: 1), dataset: defaultDataset.rawValue)

  /// As in PyTorch.
  private static let adamWDefaults = (rate: 1e-3, decay: 1e-2)
  /// The rate of You et al.'s ResNet-50 with batches of 8,192 is 6.4 · 0.001 times the norm.
  private static let larsRate = 6.4
  /// Weights that are trained already are lost at the rate of those that are drawn.
  private static let fineTuningDivisor = 10.0

  @Option(
    help:
      """
      resnet20 … 1202, resnet18 … 152, plain20 … 110, plain18, plain34, preresnet110, 164, 1001, resnext50_32x4d, \
      resnext101_32x8d, resnext101_64x4d, wide_resnet50_2, wide_resnet101_2. Default: that of --init, else \(defaultModel).
      """)
  var model: String?
  @Option(help: "One of \(DatasetKind.names). Default: \(defaultDataset.rawValue).", transform: DatasetKind.init(named:))
  var dataset: DatasetKind?
  @Option(help: ArgumentHelp("The data set's folder or file.", valueName: "path"))
  var data: String?
  @Option(help: "Height and width of the images of 'folder'. Default: 224 for the ImageNet family, 32 for the other.")
  var imageSize: Int?
  @OptionGroup var resizing: ResizeOptions
  @Option(help: "Whether images of 'folder' that cannot be decoded end the run or are left out: fail or skip. Default: fail.")
  var damaged: DamagedImages?
  @Option(help: "Passes over the training images. Default: \(defaults.epochs).")
  var epochs: Int?
  @Option(help: "Images a step. Default: \(defaults.batchSize).")
  var batchSize: Int?
  @Option(help: ArgumentHelp("Gather the gradients of so many batches for a step. Default: 1.", valueName: "batches"))
  var accumulate: Int?
  @Option(help: "sgd, adamw, or lars for batches of thousands. Default: sgd.")
  var optimizer: Optimiser.Kind?
  @Option(
    help:
      "The highest rate, after the warm-up. Default: \(defaults.learningRate), adamw \(adamWDefaults.rate), lars \(larsRate); a tenth with --init."
  )
  var learningRate: Double?
  @Option(
    name: .customLong("learning-rate-scale"),
    help: ArgumentHelp(
      "Multiply a layer's rate, or a part's, for example layer1=0.1; of several the longest name counts. May be repeated.",
      valueName: "layer=factor"))
  var learningRateScales: [Optimiser.RateScale] = []
  @Option(
    name: .customLong("freeze"),
    help: ArgumentHelp("Do not train this layer or part, for example layer1; may be repeated.", valueName: "layer"))
  var frozen: [String] = []
  @Option(help: ArgumentHelp("Shorten gradients whose norm is above this. Default: do not.", valueName: "norm"))
  var clipNorm: Double?
  @Option(
    name: .customLong("ema"),
    help: ArgumentHelp(
      "Validate and save a moving average of the weights with this decay, for example 0.999. Default: do not.",
      valueName: "decay"))
  var averageDecay: Double?
  @Option(help: "Of sgd and lars. Default: \(defaults.momentum).")
  var momentum: Double?
  @Flag(help: "Nesterov's momentum.")
  var nesterov = false
  @Option(help: "Default: \(defaults.weightDecay), adamw \(adamWDefaults.decay).")
  var weightDecay: Double?
  @Option(
    help: "constant, cosine (to zero) or step (a tenth at a half and at three quarters). Default: \(defaults.schedule.rawValue).")
  var schedule: Schedule.Kind?
  @Option(help: "The rate rises linearly through these; fractions are allowed. Default: a tenth of the epochs, at most 1.")
  var warmupEpochs: Double?
  @Flag(help: RecomputeOption.help)
  var recompute = false
  @OptionGroup var precision: PrecisionOption
  @Option(help: "The share of the target that goes to all classes alike. Default: \(defaults.labelSmoothing).")
  var labelSmoothing: Double?
  @Option(help: "Decides weights, order and augmentation. Default: \(defaults.seed).")
  var seed: UInt64?
  @Option(help: ArgumentHelp("Stop after so many steps.", valueName: "steps"))
  var maxSteps: Int?
  @Option(
    help: ArgumentHelp(
      "Train on so many images only: the first, of 'folder' the first of each class in turns.", valueName: "images"))
  var limitTrain: Int?
  @Option(
    name: .customLong("init"),
    help: ArgumentHelp(
      "Start from weights, a safetensors file or a checkpoint of torch.save; the last layer starts anew for another number of classes.",
      valueName: "file"))
  var initialWeights: String?
  @OptionGroup var place: WeightsPlaceOptions
  @OptionGroup(title: "Augmentation") var augmentation: AugmentationOptions
  @Flag(inversion: .prefixedNo, exclusivity: .exclusive, help: "A new order each epoch. Default: yes.")
  var shuffle: Bool?

  /// The place of the data set, absolute, so that the run can be resumed from anywhere.
  var absoluteData: String? { data.map { URL(fileURLWithPath: $0).path } }

  /// The names of the options that were given.
  var given: [String] {
    let all: [(String, Bool)] = [
      ("--model", model != nil), ("--dataset", dataset != nil), ("--data", data != nil),
      ("--image-size", imageSize != nil), ("--damaged", damaged != nil), ("--epochs", epochs != nil),
      ("--batch-size", batchSize != nil), ("--accumulate", accumulate != nil), ("--optimizer", optimizer != nil),
      ("--learning-rate", learningRate != nil),
      ("--learning-rate-scale", !learningRateScales.isEmpty), ("--freeze", !frozen.isEmpty), ("--clip-norm", clipNorm != nil),
      ("--ema", averageDecay != nil), ("--momentum", momentum != nil),
      ("--nesterov", nesterov), ("--weight-decay", weightDecay != nil), ("--schedule", schedule != nil),
      ("--warmup-epochs", warmupEpochs != nil), ("--recompute", recompute), ("--precision", precision.precision != nil),
      ("--label-smoothing", labelSmoothing != nil),
      ("--seed", seed != nil),
      ("--max-steps", maxSteps != nil), ("--limit-train", limitTrain != nil), ("--init", initialWeights != nil),
      ("--shuffle/--no-shuffle", shuffle != nil),
    ]
    return all.filter(\.1).map(\.0) + [resizing.given].compactMap(\.self) + place.given + augmentation.given
  }

  /// - Throws: a usage error where an option of a new run has nothing to do with its data set.
  func requirePhotographs() throws {
    let option = imageSize != nil ? "--image-size" : damaged != nil ? "--damaged" : resizing.given
    if dataset != .folder, let option {
      throw ValidationError("\(option) is about photographs: it needs --dataset folder")
    }
  }

  /// Usage errors show before any work begins.
  func validate() throws {
    try requirePaths(["--data": data, "--init": initialWeights])
    try requireSizes(["--image-size": imageSize], in: 1...RunConfiguration.largestImage)
    if initialWeights == nil, let option = place.given.first {
      throw ValidationError("\(option) says where in a file the weights to start from are: it needs --init")
    }
    if optimizer == .adamW, let option = [("--momentum", momentum != nil), ("--nesterov", nesterov)].first(where: \.1) {
      throw ValidationError("\(option.0) is of sgd and lars: leave it out with --optimizer adamw")
    }
    try usage { try configuration(ModelConfiguration(name: Self.defaultModel, classes: 1), .synthetic).validate() }
  }

  func configuration(_ model: ModelConfiguration, _ kind: DatasetKind, imageSize: Int? = nil) -> RunConfiguration {
    var run = RunConfiguration(model: model, dataset: kind.rawValue)
    run.data = absoluteData
    run.initialWeights = initialWeights.map { URL(fileURLWithPath: $0).path }
    run.limitTrain = limitTrain
    if kind == .folder {
      run.imageSize = imageSize
      run.damaged = damaged
    }
    augmentation.apply(to: &run, kind)
    run.epochs = epochs ?? run.epochs
    run.batchSize = batchSize ?? run.batchSize
    run.accumulate = accumulate
    run.optimizer = optimizer
    switch optimizer {
    case .adamW: (run.learningRate, run.weightDecay) = Self.adamWDefaults
    case .lars: run.learningRate = Self.larsRate
    case .sgd, nil: break
    }
    run.learningRate = learningRate ?? run.learningRate / (initialWeights == nil ? 1 : Self.fineTuningDivisor)
    run.learningRateScales = learningRateScales.isEmpty ? nil : learningRateScales
    run.frozen = frozen.isEmpty ? nil : frozen
    run.clipNorm = clipNorm
    run.averageDecay = averageDecay
    run.momentum = momentum ?? run.momentum
    run.nesterov = nesterov
    run.weightDecay = weightDecay ?? run.weightDecay
    run.schedule = schedule ?? run.schedule
    run.warmupEpochs = warmupEpochs ?? min(1, Double(run.epochs) / 10)
    run.labelSmoothing = labelSmoothing ?? run.labelSmoothing
    run.recompute = recompute
    run.precision = precision.precision
    run.shuffle = shuffle ?? run.shuffle
    run.seed = seed ?? run.seed
    run.maxSteps = maxSteps
    return run
  }
}
