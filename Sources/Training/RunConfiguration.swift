import Compute
import Datasets
import Images
import Models
import NN
import Support

/// All options that determine the result of a training run, except the devices. The run keeps them in its `config.json`.
///
/// ```swift
/// let session = try TrainingSession("resnet18", on: .folder("flowers")) { run in
///   run.epochs = 30
///   run.batchSize = 64
/// }
/// ```
public struct RunConfiguration: Hashable, Codable, Sendable {
  /// Configuration of the network.
  public var model: ModelConfiguration
  /// Name of the data set, one of `DatasetKind`.
  public var dataset: String
  /// Folder or file of the data set; nil for the place where the system keeps it.
  public var data: String?
  /// Maximum number of training images: the first ones are used, of a folder the first of each class in turns. Nil for all.
  public var limitTrain: Int?
  /// Number of passes over the training set, at least 1. The learning rate schedule spans all of them.
  public var epochs: Int
  /// Batch size, at least 1.
  public var batchSize: Int
  /// Number of batches whose gradients make one step, at least 1; nil for 1.
  public var accumulate: Int?
  /// Optimizer; nil for ``Optimizer/Kind/sgd``.
  public var optimizer: Optimizer.Kind?
  /// Learning rate after warm-up, at least 0.
  public var learningRate: Double
  /// Momentum in 0 ..< 1; see ``SGDRule``.
  public var momentum: Double
  /// Whether to use Nesterov momentum, which needs a momentum above 0.
  public var nesterov: Bool
  /// Weight decay, at least 0. For ``Optimizer/Kind/sgd`` it is the factor of ‖w‖²/2 in the loss, over all parameters. For
  /// ``Optimizer/Kind/adamW``, multiplied by the learning rate, it is the share by which all parameters shrink in a step. For
  /// ``Optimizer/Kind/lars`` it is as for SGD, but only for filters and matrices.
  public var weightDecay: Double
  /// Layers with a learning rate of their own; see ``Optimizer/Options/rateScales``.
  public var learningRateScales: [Optimizer.RateScale]?
  /// Maximum norm of all gradients together, above 0; nil for no limit.
  public var clipNorm: Double?
  /// Layers that are not trained; see ``ParameterStore/freeze(_:)``.
  public var frozen: [String]?
  /// Decay of the moving average (EMA) of the weights, in 0 ..< 1. The averaged weights are then validated and saved. Nil for no
  /// average.
  public var averageDecay: Double?
  /// Kind of learning rate schedule, which says how the rate falls.
  public var schedule: Schedule.Kind
  /// Length of the warm-up, in which the learning rate rises linearly, in epochs or fractions of one.
  public var warmupEpochs: Double
  /// Label smoothing ε in 0 ... 1, as PyTorch defines it.
  public var labelSmoothing: Double
  /// Whether to use activation checkpointing: the backward pass computes activations again instead of keeping them. The resulting
  /// weights are the same to the last bit. Nil for no, as in runs from before this option.
  public var recompute: Bool?
  /// Storage type of activations and their gradients; nil for float32, as in runs from before this option.
  public var precision: Precision?
  /// Whether each epoch has its own random order.
  public var shuffle: Bool
  /// Data augmentation: crops and mirroring of images in memory, or of photographs without ``randomCrop``, and all other random
  /// changes. Nil for images as they are.
  public var augmentation: Augmentation?
  /// Random crops of photographs, which determine the size of the network's input; nil for none, and for data sets in memory.
  public var randomCrop: RandomResizedCrop?
  /// Height and width to which photographs are brought; nil for data sets that have a size of their own.
  public var imageSize: Int?
  /// Preparation of photographs that are not cropped at random; nil for the usual one, as in runs from before this option.
  public var evaluation: EvaluationRecipe?
  /// Normalization of photographs for the network's input; nil for ImageNet's.
  public var normalization: Normalization?
  /// Treatment of photographs that cannot be decoded; nil for ``DamagedImages/fail``.
  public var damaged: DamagedImages?
  /// Fingerprints of the data set at the start of the run; nil in runs from before they were kept.
  public var contents: SplitContents?
  /// Random seed (initial weights, sample order, augmentation).
  public var seed: UInt64
  /// Maximum number of steps: the run ends there even if epochs are left. The learning rate schedule is not shortened.
  public var maxSteps: Int?
  /// File of the initial weights; nil for random ones.
  public var initialWeights: String?
  /// Ratio in which several devices share every batch, in the order of the devices; nil for one device.
  public var shares: [Int]?

  /// Creates a configuration with the default of every option.
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

  /// Largest possible image size: pixels along a side.
  public static let largestImage = 1 << 14

  /// Maximum number of epochs, so that steps can be counted in a word.
  static let mostEpochs = Int(Int32.max)

  /// Options that determine the memory for training.
  public var trainingOptions: TrainingOptions {
    TrainingOptions(
      recompute: recompute ?? false, precision: precision ?? .fp32,
      optimizer: Optimizer.Options(
        optimizer ?? .sgd, momentum: momentum, nesterov: nesterov, weightDecay: weightDecay, maximumNorm: clipNorm,
        accumulates: (accumulate ?? 1) > 1, rateScales: learningRateScales ?? []),
      frozen: frozen ?? [], averages: averageDecay != nil)
  }

  /// Checks all values.
  /// - Throws: ``Failure`` for the first value that makes no sense.
  public func validate() throws {
    func demand(
      _ holds: Bool, _ setting: Setting, _ value: some CustomStringConvertible, _ complaint: @autoclosure () -> Message
    ) throws {
      if !holds { throw Failure(setting, value, complaint()) }
    }
    func demand(_ holds: Bool, _ complaint: @autoclosure () -> Message) throws {
      if !holds { throw Failure(.invalidSetting, complaint()) }
    }
    try demand(epochs > 0, .epochs, epochs, "at least one is needed")
    try demand(epochs <= Self.mostEpochs, .epochs, epochs, "at most \(Self.mostEpochs) are possible")
    try demand(batchSize > 0, .batchSize, batchSize, "at least one image is needed")
    try demand(learningRate.isFinite && learningRate >= 0, .learningRate, learningRate, "it must be at least 0")
    try demand(momentum >= 0 && momentum < 1, .momentum, momentum, "it must be at least 0 and below 1")
    try demand(!nesterov || momentum > 0, "\(Setting.nesterov) needs a \(Setting.momentum) above 0")
    try demand(weightDecay.isFinite && weightDecay >= 0, .weightDecay, weightDecay, "it must be at least 0")
    try demand(accumulate.map { $0 > 0 } ?? true, .accumulate, accumulate ?? 0, "at least one batch is needed")
    for (index, scale) in (learningRateScales ?? []).enumerated() {
      let isRepeated = learningRateScales?[..<index].contains { $0.prefix == scale.prefix } ?? false
      let value = "\(scale.prefix)=\(scale.factor)"
      try demand(!isRepeated, .learningRateScales, value, "\(scale.prefix) has one already")
      try demand(
        scale.factor.isFinite && scale.factor >= 0, .learningRateScales, value, "the factor must be at least 0")
    }
    for prefix in frozen ?? [] {
      let scale = learningRateScales?.first { $0.prefix == prefix || $0.prefix.hasPrefix("\(prefix).") }
      try demand(
        scale == nil, .learningRateScales, scale?.prefix ?? "",
        "it is frozen by \(Setting.frozen, prefix), leave one out")
    }
    try demand(clipNorm.map { $0.isFinite && $0 > 0 } ?? true, .clipNorm, clipNorm ?? 0, "it must be above 0")
    try demand(
      averageDecay.map { $0 >= 0 && $0 < 1 } ?? true, .averageDecay, averageDecay ?? 0, "it must be at least 0 and below 1")
    try demand(warmupEpochs >= 0 && warmupEpochs.isFinite, .warmupEpochs, warmupEpochs, "it must be at least 0")
    try demand(
      warmupEpochs <= Double(epochs), .warmupEpochs, warmupEpochs,
      "the run has \(epochs), so the rate would not be reached")
    try demand(labelSmoothing >= 0 && labelSmoothing <= 1, .labelSmoothing, labelSmoothing, "it must be from 0 to 1")
    try demand(limitTrain.map { $0 > 0 } ?? true, .limitTrain, limitTrain ?? 0, "at least one image is needed")
    try augmentation?.validate()
    try demand(
      shares.map { $0.allSatisfy { (0...Int(Int32.max)).contains($0) } && $0.contains { $0 > 0 } } ?? true,
      "shares of \(shares ?? []): they must be whole numbers from 0, and one above it")
    try demand(
      imageSize.map { (1...Self.largestImage).contains($0) } ?? true, .imageSize, imageSize ?? 0,
      "it must be from 1 to \(Self.largestImage)")
    if let evaluation, let imageSize { _ = try evaluation.transform(crop: imageSize) }
    try demand(
      normalization?.fits(channels: model.channels) ?? true,
      "normalization: a finite mean and a deviation above 0 are needed for each of \(model.channels) channels")
    try demand(
      randomCrop.map { $0.size == imageSize && $0.isPossible } ?? true, "randomCrop: it must be of the images' size, and possible"
    )
    try demand(maxSteps.map { $0 > 0 } ?? true, .maxSteps, maxSteps ?? 0, "at least one is needed")
  }

  /// Checks the layers that ``frozen`` and ``learningRateScales`` name.
  /// - Throws: ``Failure`` if the network does not have one of them, or if nothing is left to train.
  public func checkLayers() throws {
    let store = try ResNet(model).store
    let named =
      (frozen ?? []).map { (Setting.frozen, $0) } + (learningRateScales ?? []).map { (Setting.learningRateScales, $0.prefix) }
    for (setting, prefix) in named {
      do { _ = try store.layers(prefix) } catch let failure as Failure {
        throw Failure(failure.kind, "\(setting, prefix): \(failure)")
      }
    }
    try store.freeze(frozen ?? [])
  }

  /// Checks that training on these images makes sense.
  /// - Throws: ``Failure`` if it does not.
  public func check(_ images: some ImageSource) throws {
    try model.check(images)
    let (height, width) = (images.shape[1], images.shape[2])
    guard images.classes.count > 1 else {
      throw Failure(
        .mismatch,
        "\(data ?? images.name) has one class, '\(images.classes.first ?? "")': there is nothing to tell apart")
    }
    if let padding = augmentation?.padding, padding >= min(height, width) {
      throw Failure(
        .cropPadding, padding, "some crops of the images of \(height)×\(width) would be nothing but padding")
    }
  }
}
