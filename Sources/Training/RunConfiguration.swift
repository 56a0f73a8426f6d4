import Compute
import Datasets
import Images
import Models
import NN
import Support

/// All settings that determine the result of a training run, except the devices, and those of its files. The run keeps them in its `config.json`, which
/// ``RunFolder/configuration()`` reads, also in the forms of earlier versions.
///
/// ```swift
/// let session = try TrainingSession("resnet18", on: .folder("flowers")) { run in
///   run.epochs = 30
///   run.batchSize = 64
/// }
/// ```
public struct RunConfiguration: Hashable, Codable, Sendable {
  /// Version of this form of `config.json`. A change of the form raises it, and keeps the earlier form readable.
  public static let currentVersion = 2

  /// Version of the form of `config.json`.
  public private(set) var version = Self.currentVersion
  /// Configuration of the network.
  public var model: ModelConfiguration
  /// Images to train and to validate on.
  public var data: DataSettings
  /// Random changes of the training images.
  public var augmentation = Augmentation.none
  /// Shorter side in pixels of the first epoch's images, which grow from epoch to epoch up to their whole size in the last one; at
  /// least 1 and below the whole side. Nil for whole images in all epochs.
  public var resizeFrom: Int?
  /// Whether each epoch has its own random order.
  public var shuffle = true
  /// Choice of the images of an epoch; nil for each image once.
  public var sampling: Sampling?
  /// Number of passes over the training set, at least 1. The learning rate schedule spans all of them.
  public var epochs = 10
  /// Batch size, at least 1.
  public var batchSize = 128
  /// Number of batches whose gradients make one step, at least 1.
  public var accumulate = 1
  /// Optimizer with its learning rate.
  public var optimizer = OptimizerSettings.sgd()
  /// Layers with a learning rate of their own; see ``Optimizer/Options/rateScales``.
  public var learningRateScales: [Optimizer.RateScale] = []
  /// Factor of the learning rate of the biases of batch normalization, above 0; see ``Optimizer/Options/biasRateScale``. Nil for
  /// the common rate.
  public var biasRateScale: Double?
  /// Maximum norm of all gradients together, above 0; nil for no limit.
  public var clipNorm: Double?
  /// Kind of learning rate schedule, which says how the rate falls.
  public var schedule = Schedule.Kind.cosine
  /// Length of the warm-up, in which the learning rate rises linearly, in epochs or fractions of one.
  public var warmupEpochs = 1.0
  /// Label smoothing ε in 0 ... 1, as PyTorch defines it.
  public var labelSmoothing = 0.0
  /// Number of steps between two moves of slow weights, at least 1, see ``Lookahead``; they move at the end of an epoch, too. Nil
  /// for none.
  public var lookahead: Int?
  /// Probability with which a batch skips the last block, in 0 ..< 1, see ``StochasticDepth``; nil for batches that use all
  /// blocks. Validated and saved is the ``ExpectedNetwork``.
  public var stochasticDepth: Double?
  /// Weights of the classes in the loss; nil for none.
  public var classWeights: ClassWeights?
  /// Layers that are not trained; see ``ParameterStore/freeze(_:)``.
  public var frozen: [String] = []
  /// Decay of the moving average (EMA) of the weights, in 0 ..< 1. The averaged weights are then validated and saved. Nil for no
  /// average.
  public var averageDecay: Double?
  /// Whether to use activation checkpointing: the backward pass computes activations again instead of keeping them. The resulting
  /// weights are the same to the last bit.
  public var recompute = false
  /// Storage type of activations and their gradients.
  public var precision = Precision.fp32
  /// Random seed (initial weights, sample order, augmentation).
  public var seed: UInt64 = 0
  /// Maximum number of steps: the run ends there even if epochs are left. The learning rate schedule is not shortened.
  public var maxSteps: Int?
  /// Figure of the validation that tells which epoch is the best one; nil for the accuracy.
  public var watch: WatchedFigure?
  /// Number of epochs without improvement of the watched figure after which the run ends, at least 1; nil for no such end.
  public var patience: Int?
  /// Reaction to a step in which a number is not finite; nil to end.
  public var onFault: FaultPolicy?
  /// File of the initial weights; nil for random ones.
  public var initialWeights: String?
  /// Ratio in which several devices share every batch, in the order of the devices; nil for one device.
  public var shares: [Int]?
  /// Settings of the files that the run writes while it trains; nil for the usual files.
  public var files: RunFileSettings?

  /// Choice of the images of an epoch.
  public enum Sampling: String, Codable, Sendable, CaseIterable {
    /// Draws as many images as there are, each from a class that is drawn with equal probability; see
    /// ``EpochPlan/init(seed:epoch:balancing:augmentation:)``.
    case balanced
  }

  /// Figure of the validation by which epochs are compared.
  public enum WatchedFigure: String, Codable, Sendable, CaseIterable {
    /// Loss, of which the lowest is the best.
    case loss
    /// Top-1 accuracy, of which the highest is the best.
    case accuracy
  }

  /// Creates a configuration with the default of every setting.
  /// - Parameter dataset: name of the data set; see ``DataSettings/name``.
  public init(model: ModelConfiguration, dataset: String) {
    self.model = model
    data = DataSettings(name: dataset)
  }

  /// Warm-up that suits the number of epochs: a tenth of them, one at most; none for a schedule that has a rise of its own.
  package var usualWarmup: Double { schedule == .oneCycle ? 0 : min(1, Double(epochs) / 10) }

  /// Random crops of photographs, of the size that the network sees; nil for none.
  /// - Precondition: the configuration is valid.
  package var randomCrop: RandomResizedCrop? {
    guard let size = data.photographs?.imageSize, case .randomResized(let scale, let ratio) = augmentation.crop else {
      return nil
    }
    return RandomResizedCrop(size: size, scale: scale, ratio: ratio, flip: augmentation.flip, flipRule: augmentation.flipRule)
  }

  /// Settings that determine the memory for training.
  public var trainingOptions: TrainingOptions {
    TrainingOptions(
      recompute: recompute, precision: precision,
      optimizer: Optimizer.Options(
        optimizer.kind, momentum: optimizer.momentum ?? 0, nesterov: optimizer.nesterov, weightDecay: optimizer.weightDecay,
        maximumNorm: clipNorm, accumulates: accumulate > 1, rateScales: learningRateScales,
        biasRateScale: biasRateScale ?? 1),
      frozen: frozen, averages: averageDecay != nil, weighsClasses: classWeights != nil, looksAhead: lookahead != nil,
      skipsBlocks: stochasticDepth != nil, guardsSteps: true)
  }
}
