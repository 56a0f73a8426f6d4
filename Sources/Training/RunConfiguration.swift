import Compute
import Datasets
import Images
import Models
import NN

/// Everything that decides a training run's result, but for the devices; kept in the run's `config.json`.
public struct RunConfiguration: Hashable, Codable, Sendable {
  /// The network.
  public var model: ModelConfiguration
  /// The data set's name, of `DatasetKind`.
  public var dataset: String
  /// The folder or file of the data set; nil for the place where the system keeps it.
  public var data: String?
  /// Use only so many images of the training set: the first, or of a folder the first of each class in turns.
  public var limitTrain: Int?
  /// Passes over the training set, at least 1; the schedule spans all of them.
  public var epochs: Int
  /// Images a step, at least 1.
  public var batchSize: Int
  /// Batches whose gradients make one step, at least 1; nil for 1.
  public var accumulate: Int?
  /// How weights follow gradients; nil for ``Optimiser/Kind/sgd``.
  public var optimizer: Optimiser.Kind?
  /// The rate after warm-up, at least 0.
  public var learningRate: Double
  /// In 0 ..< 1; see ``SGDRule``.
  public var momentum: Double
  /// Nesterov's form of momentum; needs a momentum above 0.
  public var nesterov: Bool
  /// At least 0: for ``Optimiser/Kind/sgd`` the factor of ‖w‖²/2 in the loss, over all parameters; for ``Optimiser/Kind/adamW`` with the
  /// rate a share by which all of them shrink; for ``Optimiser/Kind/lars`` as for the first, but of filters and matrices alone.
  public var weightDecay: Double
  /// Layers whose rate is another; see ``Optimiser/Options/rateScales``.
  public var learningRateScales: [Optimiser.RateScale]?
  /// The most that the norm of all gradients may be, above 0; nil for any.
  public var clipNorm: Double?
  /// Layers that stay as they are; see ``ParameterStore/freeze(_:)``.
  public var frozen: [String]?
  /// The decay of a moving average of the weights, in 0 ..< 1, which then is what is validated and saved; nil for none.
  public var averageDecay: Double?
  /// How the rate falls.
  public var schedule: Schedule.Kind
  /// Epochs, also fractions of one, in which the rate rises linearly.
  public var warmupEpochs: Double
  /// ε in 0 ... 1, as PyTorch defines it.
  public var labelSmoothing: Double
  /// Compute activations again in the backward pass instead of keeping them; nil for no, as in runs from before this option.
  /// The weights come out the same to the last bit.
  public var recompute: Bool?
  /// How activations and their gradients are stored; nil for float32, as in runs from before this option.
  public var precision: Precision?
  /// Whether each epoch has an order of its own.
  public var shuffle: Bool
  /// Crops and mirroring of images in memory, or of photographs without ``randomCrop``, and all else that is done by chance; nil for
  /// images as they are.
  public var augmentation: Augmentation?
  /// The random crops of photographs, which fix the size of the network's input; nil for none, and for data sets in memory.
  public var randomCrop: RandomResizedCrop?
  /// Height and width to which photographs are brought; nil for data sets that have a size of their own.
  public var imageSize: Int?
  /// Preparation of photographs that are not cropped at random; nil for the usual manner, as in runs from before this option.
  public var evaluation: EvaluationRecipe?
  /// How photographs become the network's input; nil for ImageNet's.
  public var normalization: Normalization?
  /// What happens to photographs that cannot be decoded; nil for ``DamagedImages/fail``.
  public var damaged: DamagedImages?
  /// Fingerprint of the data set when the run began; nil in runs from before this was kept.
  public var contents: SplitContents?
  /// Decides initial weights, order and augmentation.
  public var seed: UInt64
  /// Ends the run after this many steps, whatever the epochs say; the schedule is not shortened.
  public var maxSteps: Int?
  /// The file that the weights come from; nil for drawn ones.
  public var initialWeights: String?
  /// The ratio in which several devices share every batch, in their order; nil for one device.
  public var shares: [Int]?

  /// The defaults of every option.
  public init(model: ModelConfiguration, dataset: String) {
    self.model = model
    self.dataset = dataset
    epochs = 10
    batchSize = 128
    learningRate = 0.1
    momentum = 0.9
    nesterov = false
    weightDecay = 5e-4
    schedule = .cosine
    warmupEpochs = 1
    labelSmoothing = 0
    shuffle = true
    seed = 0
  }

  /// Pixels along a side.
  public static let largestImage = 1 << 14

  /// So that steps can be counted in a word.
  static let mostEpochs = Int(Int32.max)

  /// What decides the memory that training takes.
  public var trainingOptions: TrainingOptions {
    TrainingOptions(
      recompute: recompute ?? false, precision: precision ?? .fp32,
      optimiser: Optimiser.Options(
        optimizer ?? .sgd, momentum: momentum, nesterov: nesterov, weightDecay: weightDecay, maximumNorm: clipNorm,
        accumulates: (accumulate ?? 1) > 1, rateScales: learningRateScales ?? []),
      frozen: frozen ?? [], averages: averageDecay != nil)
  }

  /// - Throws: ``Failure`` for the first value that makes no sense.
  public func validate() throws {
    func demand(_ holds: Bool, _ complaint: @autoclosure () -> String) throws {
      if !holds { throw Failure(complaint()) }
    }
    try demand(epochs > 0, "--epochs \(epochs): at least one is needed")
    try demand(epochs <= Self.mostEpochs, "--epochs \(epochs): at most \(Self.mostEpochs) are possible")
    try demand(batchSize > 0, "--batch-size \(batchSize): at least one image is needed")
    try demand(learningRate.isFinite && learningRate >= 0, "--learning-rate \(learningRate): it must be at least 0")
    try demand(momentum >= 0 && momentum < 1, "--momentum \(momentum): it must be at least 0 and below 1")
    try demand(!nesterov || momentum > 0, "--nesterov needs a --momentum above 0")
    try demand(weightDecay.isFinite && weightDecay >= 0, "--weight-decay \(weightDecay): it must be at least 0")
    try demand(accumulate.map { $0 > 0 } ?? true, "--accumulate \(accumulate ?? 0): at least one batch is needed")
    for (index, scale) in (learningRateScales ?? []).enumerated() {
      let isRepeated = learningRateScales?[..<index].contains { $0.prefix == scale.prefix } ?? false
      try demand(!isRepeated, "--learning-rate-scale \(scale.prefix)=\(scale.factor): \(scale.prefix) has one already")
      try demand(
        scale.factor.isFinite && scale.factor >= 0,
        "--learning-rate-scale \(scale.prefix)=\(scale.factor): the factor must be at least 0")
    }
    for prefix in frozen ?? [] {
      let scale = learningRateScales?.first { $0.prefix == prefix || $0.prefix.hasPrefix("\(prefix).") }
      try demand(scale == nil, "--learning-rate-scale \(scale?.prefix ?? ""): it is frozen by --freeze \(prefix), leave one out")
    }
    try demand(clipNorm.map { $0.isFinite && $0 > 0 } ?? true, "--clip-norm \(clipNorm ?? 0): it must be above 0")
    try demand(averageDecay.map { $0 >= 0 && $0 < 1 } ?? true, "--ema \(averageDecay ?? 0): it must be at least 0 and below 1")
    try demand(warmupEpochs >= 0 && warmupEpochs.isFinite, "--warmup-epochs \(warmupEpochs): it must be at least 0")
    try demand(
      warmupEpochs <= Double(epochs), "--warmup-epochs \(warmupEpochs): the run has \(epochs), so the rate would not be reached")
    try demand(labelSmoothing >= 0 && labelSmoothing <= 1, "--label-smoothing \(labelSmoothing): it must be from 0 to 1")
    try demand(limitTrain.map { $0 > 0 } ?? true, "--limit-train \(limitTrain ?? 0): at least one image is needed")
    try augmentation?.validate()
    try demand(
      shares.map { $0.allSatisfy { (0...Int(Int32.max)).contains($0) } && $0.contains { $0 > 0 } } ?? true,
      "shares of \(shares ?? []): they must be whole numbers from 0, and one above it")
    try demand(
      imageSize.map { (1...Self.largestImage).contains($0) } ?? true,
      "--image-size \(imageSize ?? 0): it must be from 1 to \(Self.largestImage)")
    if let evaluation, let imageSize { _ = try evaluation.transform(crop: imageSize) }
    try demand(
      normalization?.fits(channels: model.channels) ?? true,
      "normalization: a finite mean and a deviation above 0 are needed for each of \(model.channels) channels")
    try demand(
      randomCrop.map { $0.size == imageSize && $0.isPossible } ?? true, "randomCrop: it must be of the images' size, and possible"
    )
    try demand(maxSteps.map { $0 > 0 } ?? true, "--max-steps \(maxSteps ?? 0): at least one is needed")
  }

  /// - Throws: ``Failure`` where ``frozen`` or ``learningRateScales`` name what the network does not have, or nothing is left to train.
  public func checkLayers() throws {
    let store = try ResNet(model).store
    let named = (frozen ?? []).map { ("--freeze", $0) } + (learningRateScales ?? []).map { ("--learning-rate-scale", $0.prefix) }
    for (option, prefix) in named {
      do { _ = try store.layers(prefix) } catch { throw Failure("\(option) \(prefix): \(error)") }
    }
    try store.freeze(frozen ?? [])
  }

  /// - Throws: ``Failure`` where training on these images makes no sense.
  public func check(_ images: some LabelledImages) throws {
    try model.check(images)
    let (height, width) = (images.shape[1], images.shape[2])
    guard images.classes.count > 1 else {
      throw Failure("\(data ?? images.name) has one class, '\(images.classes.first ?? "")': there is nothing to tell apart")
    }
    if let padding = augmentation?.padding, padding >= min(height, width) {
      throw Failure("--crop-padding \(padding): some crops of the images of \(height)×\(width) would be nothing but padding")
    }
  }
}
