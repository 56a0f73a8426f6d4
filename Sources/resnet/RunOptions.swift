import ArgumentParser
import Compute
import Datasets
import Models
import NN
import Training

/// The options of a new run. All are optional, so that `--resume` can tell whether one was given; the defaults are
/// ``RunConfiguration``'s.
struct RunOptions: ParsableArguments {
  static let defaultModel = "resnet20"
  static let defaultDataset = DatasetKind.fashionMNIST.rawValue

  @Option(help: "resnet20 … 1202, resnet18 … 152, plain20 … 110, plain18, plain34. Default: resnet20.")
  var model: String?
  @Option(help: "fashion-mnist, mnist, cifar10, cifar100, tensors or synthetic. Default: fashion-mnist.")
  var dataset: String?
  @Option(help: ArgumentHelp("The data set's folder or file.", valueName: "path"))
  var data: String?
  @Option(help: "Default: 10.")
  var epochs: Int?
  @Option(help: "Default: 128.")
  var batchSize: Int?
  @Option(help: "Default: 0.1.")
  var learningRate: Double?
  @Option(help: "Default: 0.9.")
  var momentum: Double?
  @Flag(help: "Nesterov's momentum.")
  var nesterov = false
  @Option(help: "Default: 5e-4.")
  var weightDecay: Double?
  @Option(help: "constant, cosine (to zero) or step (a tenth at a half and at three quarters). Default: cosine.")
  var schedule: Schedule.Kind?
  @Option(help: "The rate rises linearly through these; fractions are allowed. Default: a tenth of the epochs, at most 1.")
  var warmupEpochs: Double?
  @Option(help: "Default: 0.")
  var labelSmoothing: Double?
  @Option(help: "Decides weights, order and augmentation. Default: 0.")
  var seed: UInt64?
  @Option(help: ArgumentHelp("Stop after so many steps.", valueName: "steps"))
  var maxSteps: Int?
  @Option(help: ArgumentHelp("Train on the first images only.", valueName: "images"))
  var limitTrain: Int?
  @Option(name: .customLong("init"), help: ArgumentHelp("Start from the weights of a safetensors file.", valueName: "file"))
  var initialWeights: String?
  @Flag(inversion: .prefixedNo, help: "Random crops and mirroring. Default: what suits the data set.")
  var augment: Bool?
  @Flag(inversion: .prefixedNo, help: "A new order each epoch. Default: yes.")
  var shuffle: Bool?

  /// The names of the options that were given.
  var given: [String] {
    let all: [(String, Bool)] = [
      ("--model", model != nil), ("--dataset", dataset != nil), ("--data", data != nil), ("--epochs", epochs != nil),
      ("--batch-size", batchSize != nil), ("--learning-rate", learningRate != nil), ("--momentum", momentum != nil),
      ("--nesterov", nesterov), ("--weight-decay", weightDecay != nil), ("--schedule", schedule != nil),
      ("--warmup-epochs", warmupEpochs != nil), ("--label-smoothing", labelSmoothing != nil), ("--seed", seed != nil),
      ("--max-steps", maxSteps != nil), ("--limit-train", limitTrain != nil), ("--init", initialWeights != nil),
      ("--augment/--no-augment", augment != nil), ("--shuffle/--no-shuffle", shuffle != nil),
    ]
    return all.filter(\.1).map(\.0)
  }

  /// Usage errors show before any work begins.
  func validate() throws {
    do { try configuration(ModelConfiguration(name: Self.defaultModel, classes: 2), .synthetic).validate() } catch {
      throw ValidationError("\(error)")
    }
  }

  func configuration(_ model: ModelConfiguration, _ kind: DatasetKind) throws -> RunConfiguration {
    var run = RunConfiguration(model: model, dataset: kind.rawValue)
    run.data = data
    run.limitTrain = limitTrain
    run.epochs = epochs ?? run.epochs
    run.batchSize = batchSize ?? run.batchSize
    run.learningRate = learningRate ?? run.learningRate
    run.momentum = momentum ?? run.momentum
    run.nesterov = nesterov
    run.weightDecay = weightDecay ?? run.weightDecay
    run.schedule = schedule ?? run.schedule
    run.warmupEpochs = warmupEpochs ?? min(1, Double(run.epochs) / 10)
    run.labelSmoothing = labelSmoothing ?? run.labelSmoothing
    run.shuffle = shuffle ?? run.shuffle
    run.augmentation = augment ?? true ? (augment == true ? kind.defaultAugmentation ?? Augmentation() : kind.defaultAugmentation) : nil
    run.seed = seed ?? run.seed
    run.maxSteps = maxSteps
    run.initialWeights = initialWeights
    return run
  }
}

extension ModelOptions {
  /// The names of the options that were given.
  var given: [String] {
    [("--shortcut", shortcut != nil), ("--stride", stride != nil), ("--zero-init", zeroInit)].filter(\.1).map(\.0)
  }
}
