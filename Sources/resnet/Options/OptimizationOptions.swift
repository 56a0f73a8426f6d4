import ArgumentParser
import Models
import NN
import ResNetKit
import Training

extension Schedule.Kind: ExpressibleByArgument {}

extension Optimizer.Kind: ExpressibleByArgument {}

/// Value of `--batch-size` in training.
enum BatchSize: Equatable, ExpressibleByArgument {
  case images(Int)
  /// The largest that fits the device's memory.
  case largest

  /// Parses a number of images, or `auto`.
  init?(argument: String) {
    if argument == "auto" {
      self = .largest
    } else if let count = Int(argument) {
      self = .images(count)
    } else {
      return nil
    }
  }
}

/// Options about the momentum of `sgd` and `lars`.
struct MomentumOptions: ParsableArguments {
  @Option(help: "Momentum of sgd and lars. Default: \(OptimizerSettings.sgd().momentum ?? 0).")
  var momentum: Double?
  @Flag(help: "Use Nesterov momentum.")
  var nesterov = false
}

/// Options of the steps of a run: their number, the optimizer and its schedule.
struct OptimizationOptions: ParsableArguments {
  private static let defaults = RunOptions.defaults
  private static let (sgd, adamW, lars) = (OptimizerSettings.sgd(), OptimizerSettings.adamW(), OptimizerSettings.lars())

  @Option(help: "Number of epochs. Default: \(defaults.epochs).")
  var epochs: Int?
  @Option(
    help: ArgumentHelp(
      "Batch size; auto takes the largest that fits the device's memory. Default: \(defaults.batchSize).",
      valueName: "images|auto"))
  var batchSize: BatchSize?
  @Option(
    help: ArgumentHelp(
      "Accumulate the gradients of this many batches for a step. Default: 1.", valueName: "batches"))
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
      "Multiply the learning rate of the biases of batch normalization, for example by 64. Default: 1.", valueName: "factor"))
  var biasRateScale: Double?
  @OptionGroup var momentum: MomentumOptions
  @Option(help: "Weight decay. Default: \(sgd.weightDecay), adamw \(adamW.weightDecay).")
  var weightDecay: Double?
  @Option(
    help: """
      Schedule: constant, cosine (to zero), step (divided by 10 at 1/2 and 3/4) or one-cycle (up from 1/25 in the first 3/10 of \
      the steps, then down to nearly zero; momentum stays). Default: \(defaults.schedule.rawValue).
      """)
  var schedule: Schedule.Kind?
  @Option(
    help: "Epochs of linear warm-up; fractions are allowed. Default: a tenth of the epochs, at most 1; 0 with one-cycle.")
  var warmupEpochs: Double?
  @Option(help: "Label smoothing: share of the target that is spread over all classes. Default: \(defaults.labelSmoothing).")
  var labelSmoothing: Double?
  @Option(
    help: ArgumentHelp(
      """
      Skip residual blocks at random, so that a step costs less: the last block with this probability, those before it with less, \
      in proportion to their place. Default: no block is skipped.
      """, valueName: "p"))
  var stochasticDepth: Double?
  @OptionGroup var balance: BalanceOptions
  @Option(help: ArgumentHelp("Clip gradients to this norm. Default: no clipping.", valueName: "norm"))
  var clipNorm: Double?
  @Option(
    help: ArgumentHelp(
      "Validate and save a moving average (EMA) of the weights with this decay, for example 0.999. Default: no average.",
      valueName: "decay"))
  var ema: Double?
  @Option(
    help: ArgumentHelp(
      "Every so many steps, for example 5, go half of the way back to the weights of then (Lookahead). Default: never.",
      valueName: "steps"))
  var lookahead: Int?
  @Option(help: ArgumentHelp("Stop after this many steps.", valueName: "steps"))
  var maxSteps: Int?
  @OptionGroup var stopping: StoppingOptions
  @Option(help: "Random seed (initial weights, sample order, augmentation). Default: \(defaults.seed).")
  var seed: UInt64?

  func validate() throws {
    if optimizer == .adamW, let option = momentum.given.first {
      throw ValidationError("\(option) is of sgd and lars: leave it out with --optimizer adamw")
    }
  }

  /// Sets what the options say of a run; the rest stays as recommended.
  func apply(to run: inout RunConfiguration) {
    run.epochs = epochs ?? run.epochs
    if case .images(let count) = batchSize { run.batchSize = count }
    run.accumulate = accumulate ?? run.accumulate
    if let optimizer { run.use(optimizer) }
    run.optimizer.learningRate = learningRate ?? run.optimizer.learningRate
    run.biasRateScale = biasRateScale
    run.optimizer.momentum = momentum.momentum ?? run.optimizer.momentum
    run.optimizer.nesterov = momentum.nesterov
    run.optimizer.weightDecay = weightDecay ?? run.optimizer.weightDecay
    run.schedule = schedule ?? run.schedule
    run.warmupEpochs = warmupEpochs ?? run.usualWarmup
    run.labelSmoothing = labelSmoothing ?? run.labelSmoothing
    run.stochasticDepth = stochasticDepth
    run.clipNorm = clipNorm
    run.averageDecay = ema
    run.lookahead = lookahead
    run.sampling = balance.sampling
    run.maxSteps = maxSteps
    (run.watch, run.patience, run.onFault) = (stopping.watch, stopping.patience, stopping.onFault)
    run.seed = seed ?? run.seed
  }
}
