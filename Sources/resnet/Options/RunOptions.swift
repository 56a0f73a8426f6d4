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

/// Options of the data, the steps and the augmentation of runs, in the groups of a command.
protocol RecipeOptions {
  var data: RunDataOptions { get }
  var training: OptimizationOptions { get }
  var augmentation: AugmentationOptions { get }
}

extension RecipeOptions {
  /// Share of the training images to validate on; nil for the validation images of the data set.
  var share: ValidationShare? {
    data.validationShare.map { ValidationShare($0, seed: training.seed ?? RunOptions.defaults.seed) }
  }

  /// Sets what the options say of a run; the rest stays as recommended.
  func applyRecipe(to run: inout RunConfiguration, _ kind: DatasetKind) {
    (run.data.limitTrain, run.data.limitValidation) = (data.limitTrain, data.limitValidation)
    run.shuffle = data.shuffle ?? run.shuffle
    run.augmentation = augmentation.augmentation(for: kind)
    run.resizeFrom = data.resizeFrom
    training.apply(to: &run)
  }

  /// Checks the options, so that usage errors show before any work begins.
  /// - Parameter apply: sets what further options say of a run.
  func validateRecipe(_ apply: (inout RunConfiguration) -> Void = { _ in }) throws {
    var run = RunOptions.defaults
    applyRecipe(to: &run, .synthetic)
    apply(&run)
    try usage {
      try run.validate()
      try share?.validate()
    }
  }

  /// Returns the choice of images that the options tell, and the kind of data set. Says what was guessed.
  /// - Throws: a usage error for options that do not apply to the data set; ``Failure`` if there is none.
  func setup() throws -> (setup: TrainingSetup, kind: DatasetKind) {
    let (kind, notice) = try data.kind()
    if let notice { printErrorNote(notice) }
    if let complaint = data.complaint(about: kind) { throw usageError(complaint) }
    let photographs = data.photographs
    var setup = TrainingSetup(
      TrainingData(kind, path: data.data, labels: photographs.labeling.labels, validationShare: share))
    (setup.imageSize, setup.evaluation) = (photographs.imageSize, photographs.resizing.recipe)
    (setup.damaged, setup.progress) = (photographs.damaged ?? .fail, Display.reading)
    return (setup, kind)
  }
}

/// Options of a new run, in the groups that the help shows. All can be left out, so that `--resume` can detect whether one was
/// given. Each has the name of its property. The defaults are those of ``RunConfiguration``.
struct RunOptions: ParsableArguments, RecipeOptions {
  static let defaults = RunConfiguration(
    model: ModelConfiguration(name: TrainingSetup.defaultModel, classes: 1), dataset: RunDataOptions.defaultDataset.rawValue)

  @OptionGroup(title: HelpGroup.data) var data: RunDataOptions
  @OptionGroup(title: HelpGroup.model) var network: RunModelOptions
  @OptionGroup(title: HelpGroup.training) var training: OptimizationOptions
  @OptionGroup(title: HelpGroup.augmentation) var augmentation: AugmentationOptions
  @OptionGroup(title: HelpGroup.fineTuning) var start: FineTuningOptions

  func validate() throws { try validateRecipe(start.apply) }

  /// Sets what the options say of a run; the rest stays as recommended.
  func apply(to run: inout RunConfiguration, _ kind: DatasetKind) {
    applyRecipe(to: &run, kind)
    start.apply(to: &run)
  }
}
