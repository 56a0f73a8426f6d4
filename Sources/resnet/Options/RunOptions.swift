import ArgumentParser
import Datasets
import Models
import ResNetKit
import Support
import Training

/// The network of a run.
struct RunModelOptions: ParsableArguments {
  @Option(
    help: "Model: \(ModelConfiguration.summaryOfNames). Default: that of --init, otherwise \(TrainingSetup.defaultModel).",
    completion: .models)
  var model: String?
  @OptionGroup var build: ModelOptions
}

/// Options of a run's memory and numbers on the device.
struct ExecutionOptions: ParsableArguments {
  @OptionGroup var precision: PrecisionOption
  @Flag(help: RecomputeOption.help)
  var recompute = false

  /// Sets what the options say of a run; the rest stays as recommended.
  func apply(to run: inout RunConfiguration) {
    run.recompute = recompute
    run.precision = precision.precision ?? run.precision
  }
}

/// Options of a new run, in the groups that the help shows. All can be left out, so that `--resume` can detect whether one was
/// given. Each has the name of its property. The defaults are those of ``RunConfiguration``.
struct RunOptions: ParsableArguments {
  static let defaults = RunConfiguration(
    model: ModelConfiguration(name: TrainingSetup.defaultModel, classes: 1), dataset: RunDataOptions.defaultDataset.rawValue)

  @OptionGroup(title: HelpGroup.data) var data: RunDataOptions
  @OptionGroup(title: HelpGroup.model) var network: RunModelOptions
  @OptionGroup(title: HelpGroup.training) var training: OptimizationOptions
  @OptionGroup(title: HelpGroup.augmentation) var augmentation: AugmentationOptions
  @OptionGroup(title: HelpGroup.fineTuning) var start: FineTuningOptions

  /// Share of the training images to validate on; nil for the validation images of the data set.
  var share: ValidationShare? {
    data.validationShare.map { ValidationShare($0, seed: training.seed ?? Self.defaults.seed) }
  }

  /// Checks the options, so that usage errors show before any work begins.
  func validate() throws {
    var run = Self.defaults
    apply(to: &run, .synthetic)
    try usage {
      try run.validate()
      try share?.validate()
    }
  }

  /// Sets what the options say of a run; the rest stays as recommended.
  func apply(to run: inout RunConfiguration, _ kind: DatasetKind) {
    (run.data.limitTrain, run.data.limitValidation) = (data.limitTrain, data.limitValidation)
    run.shuffle = data.shuffle ?? run.shuffle
    run.augmentation = augmentation.augmentation(for: kind)
    run.resizeFrom = data.resizeFrom
    training.apply(to: &run)
    start.apply(to: &run)
  }
}
