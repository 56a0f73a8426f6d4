import ArgumentParser
import Compute
import Datasets
import Images
import Models
import NN
import ResNetKit
import Support
import Training

extension DatasetKind {
  /// Names of all data sets, for help texts.
  static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

extension Schedule.Kind: ExpressibleByArgument {}

extension DamagedImages: ExpressibleByArgument {}

extension Optimizer.Kind: ExpressibleByArgument {}

extension Optimizer.RateScale: ExpressibleByArgument {
  /// Parses a layer and its factor, for example `fc=10`.
  public init?(argument: String) {
    let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, let factor = Double(parts[1]) else { return nil }
    self.init(prefix: String(parts[0]), factor: factor)
  }
}

/// Options about photographs, which come in all sizes.
struct PhotographOptions: ParsableArguments {
  @Option(help: "Image height and width for 'folder'. Default: 224 for the ImageNet family, 32 for other models.")
  var imageSize: Int?
  @OptionGroup var resizing: ResizeOptions
  @Option(help: "Images of 'folder' that cannot be decoded: fail (end the run) or skip (leave them out). Default: fail.")
  var damaged: DamagedImages?

  func validate() throws { try requireSizes(["--image-size": imageSize], in: ModelConfiguration.imageSides) }
}

/// Options about the momentum of `sgd` and `lars`.
struct MomentumOptions: ParsableArguments {
  @Option(help: "Momentum of sgd and lars. Default: \(OptimizerSettings.sgd().momentum ?? 0).")
  var momentum: Double?
  @Flag(help: "Use Nesterov momentum.")
  var nesterov = false
}

/// Options of a new run. All can be left out, so that `--resume` can detect whether one was given. Each has the name of its
/// property. The defaults are those of ``RunConfiguration``.
struct RunOptions: ParsableArguments {
  static let defaultDataset = DatasetKind.fashionMNIST
  private static let defaults = RunConfiguration(
    model: ModelConfiguration(name: TrainingSetup.defaultModel, classes: 1), dataset: defaultDataset.rawValue)
  private static let (sgd, adamW, lars) = (OptimizerSettings.sgd(), OptimizerSettings.adamW(), OptimizerSettings.lars())

  @Option(
    help: "Model: \(ModelConfiguration.summaryOfNames). Default: that of --init, otherwise \(TrainingSetup.defaultModel).")
  var model: String?
  @Option(help: "Data set: \(DatasetKind.names). Default: \(defaultDataset.rawValue).", transform: DatasetKind.init(named:))
  var dataset: DatasetKind?
  @Option(help: ArgumentHelp("Folder or file of the data set.", valueName: "path"))
  var data: String?
  @OptionGroup var photographs: PhotographOptions
  @Option(help: "Number of epochs. Default: \(defaults.epochs).")
  var epochs: Int?
  @Option(help: "Batch size. Default: \(defaults.batchSize).")
  var batchSize: Int?
  @Option(help: ArgumentHelp("Accumulate the gradients of this many batches for a step. Default: 1.", valueName: "batches"))
  var accumulate: Int?
  @Option(help: "Optimizer: sgd, adamw, or lars for batches of thousands. Default: sgd.")
  var optimizer: Optimizer.Kind?
  @Option(
    help:
      """
      Peak learning rate. Default: \(sgd.learningRate), adamw \(adamW.learningRate), lars \(lars.learningRate); 1/10 with \
      --init.
      """
  )
  var learningRate: Double?
  @Option(
    help: ArgumentHelp(
      "Multiply the learning rate of a layer or part, for example layer1=0.1; the longest matching name counts. May be repeated.",
      valueName: "layer=factor"))
  var learningRateScale: [Optimizer.RateScale] = []
  @Option(
    help: ArgumentHelp("Do not train this layer or part, for example layer1. May be repeated.", valueName: "layer"))
  var freeze: [String] = []
  @Option(help: ArgumentHelp("Clip gradients to this norm. Default: no clipping.", valueName: "norm"))
  var clipNorm: Double?
  @Option(
    help: ArgumentHelp(
      "Validate and save a moving average (EMA) of the weights with this decay, for example 0.999. Default: no average.",
      valueName: "decay"))
  var ema: Double?
  @OptionGroup var momentum: MomentumOptions
  @Option(help: "Weight decay. Default: \(sgd.weightDecay), adamw \(adamW.weightDecay).")
  var weightDecay: Double?
  @Option(
    help: "Schedule: constant, cosine (to zero) or step (divided by 10 at 1/2 and 3/4). Default: \(defaults.schedule.rawValue).")
  var schedule: Schedule.Kind?
  @Option(help: "Epochs of linear warm-up; fractions are allowed. Default: a tenth of the epochs, at most 1.")
  var warmupEpochs: Double?
  @Flag(help: RecomputeOption.help)
  var recompute = false
  @OptionGroup var precision: PrecisionOption
  @Option(help: "Label smoothing: share of the target that is spread over all classes. Default: \(defaults.labelSmoothing).")
  var labelSmoothing: Double?
  @OptionGroup var balance: BalanceOptions
  @Option(help: "Random seed (initial weights, sample order, augmentation). Default: \(defaults.seed).")
  var seed: UInt64?
  @Option(help: ArgumentHelp("Stop after this many steps.", valueName: "steps"))
  var maxSteps: Int?
  @OptionGroup var stopping: StoppingOptions
  @Option(
    help: ArgumentHelp(
      "Train on only this many images: the first ones, or for 'folder' the first of each class in turns.", valueName: "images"))
  var limitTrain: Int?
  @Option(
    help: ArgumentHelp("Validate on only this many images, taken as by --limit-train. Default: all.", valueName: "images"))
  var limitValidation: Int?
  @Option(
    help: ArgumentHelp(
      "Set this share of the training images of each class apart to validate on, chosen by the seed. Default: a tenth if there "
        + "are no other images to validate on.", valueName: "share"))
  var validationShare: Double?
  @Option(
    help: ArgumentHelp(
      "Start from the weights of a safetensors file or a checkpoint of torch.save. The last layer starts anew for other classes.",
      valueName: "file"))
  var `init`: String?
  @OptionGroup var place: WeightsPlaceOptions
  @OptionGroup(title: "Augmentation") var augmentation: AugmentationOptions
  @Flag(inversion: .prefixedNo, exclusivity: .exclusive, help: "Shuffle the images anew in each epoch. Default: yes.")
  var shuffle: Bool?

  /// Checks that options about photographs are given for photographs only.
  /// - Throws: a usage error if an option does not apply to the run's data set.
  func requirePhotographs() throws {
    if dataset != .folder, let option = photographs.given.first {
      throw ValidationError("\(option) is about photographs: it needs --dataset folder")
    }
  }

  /// Share of the training images to validate on; nil for the validation images of the data set.
  var share: ValidationShare? { validationShare.map { ValidationShare($0, seed: seed ?? Self.defaults.seed) } }

  /// Checks the options, so that usage errors show before any work begins.
  func validate() throws {
    try requirePaths(["--data": data, "--init": `init`])
    if `init` == nil, let option = place.given.first {
      throw ValidationError("\(option) says where in a file the weights to start from are: it needs --init")
    }
    if optimizer == .adamW, let option = momentum.given.first {
      throw ValidationError("\(option) is of sgd and lars: leave it out with --optimizer adamw")
    }
    var run = Self.defaults
    apply(to: &run, .synthetic)
    try usage {
      try run.validate()
      try share?.validate()
    }
  }

  /// Sets what the options say of a run; the rest stays as recommended.
  func apply(to run: inout RunConfiguration, _ kind: DatasetKind) {
    (run.data.limitTrain, run.data.limitValidation) = (limitTrain, limitValidation)
    run.augmentation = augmentation.augmentation(for: kind)
    run.epochs = epochs ?? run.epochs
    run.batchSize = batchSize ?? run.batchSize
    run.accumulate = accumulate ?? run.accumulate
    if let optimizer { run.use(optimizer) }
    run.optimizer.learningRate = learningRate ?? run.optimizer.learningRate
    run.optimizer.momentum = momentum.momentum ?? run.optimizer.momentum
    run.optimizer.nesterov = momentum.nesterov
    run.optimizer.weightDecay = weightDecay ?? run.optimizer.weightDecay
    run.learningRateScales = learningRateScale
    run.frozen = freeze
    run.clipNorm = clipNorm
    run.averageDecay = ema
    run.schedule = schedule ?? run.schedule
    run.warmupEpochs = warmupEpochs ?? RunConfiguration.usualWarmup(ofEpochs: run.epochs)
    run.labelSmoothing = labelSmoothing ?? run.labelSmoothing
    run.recompute = recompute
    run.precision = precision.precision ?? run.precision
    run.shuffle = shuffle ?? run.shuffle
    run.sampling = balance.sampling
    run.seed = seed ?? run.seed
    run.maxSteps = maxSteps
    (run.watch, run.patience) = (stopping.watch, stopping.patience)
  }
}
