import ArgumentParser
import Datasets
import Models
import ResNetKit
import Support
import Training

/// Options of the length of a study: its seeds, and its time.
struct StudyBudgetOptions: ParsableArguments {
  @Option(help: "Number of seeds that each network is trained from, counted up from --seed. Default: 1.")
  var seeds: Int?
  @Option(
    help: ArgumentHelp(
      "Minutes for all networks together, in the place of --epochs: the number of epochs that fits is measured first.",
      valueName: "minutes"))
  var minutes: Double?

  static let mostSeeds = 100

  func validate() throws {
    if let seeds, !(1...Self.mostSeeds).contains(seeds) {
      throw ValidationError("--seeds \(seeds): it must be from 1 to \(Self.mostSeeds)")
    }
    if let minutes, !(minutes > 0 && minutes.isFinite) { throw ValidationError("--minutes \(minutes): it must be above 0") }
  }
}

/// Options of what a study writes.
struct StudyFileOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Folder of the study, in which an interrupted study goes on. Default: studies/ and the name of the study.",
      valueName: "folder"),
    completion: .directory)
  var output: String?
  @Flag(help: "Print the results as a JSON object, and nothing else.")
  var json = false

  func validate() throws { try requirePaths(["--output": output]) }
}

/// Options of a study, in the groups that the help shows. Those of the recipe are those of `train`.
struct StudyOptions: ParsableArguments, RecipeOptions {
  @OptionGroup(title: HelpGroup.data) var data: RunDataOptions
  @OptionGroup(title: HelpGroup.model) var networks: StudyNetworkOptions
  @OptionGroup(title: HelpGroup.training) var budget: StudyBudgetOptions
  @OptionGroup(title: HelpGroup.training) var training: OptimizationOptions
  @OptionGroup(title: HelpGroup.augmentation) var augmentation: AugmentationOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var execution: ExecutionOptions
  @OptionGroup(title: HelpGroup.device) var tuning: TuneOption
  @OptionGroup(title: HelpGroup.output) var files: StudyFileOptions
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  func validate() throws {
    try tuning.validate(device)
    try execution.precision.validate(device)
    if let complaint = data.known.flatMap(data.complaint) { throw ValidationError(complaint.line) }
    if training.batchSize == .largest {
      throw ValidationError("--batch-size auto: all networks of a study need the same batch size: give a number")
    }
    if training.stopping.patience != nil {
      throw ValidationError("--patience: all networks of a study are trained equally long: leave it out")
    }
    if budget.minutes != nil, let option = training.given.first(where: { ["--epochs", "--max-steps"].contains($0) }) {
      throw ValidationError("--minutes and \(option) both say how long to train: leave one out")
    }
    try validateRecipe()
  }

  /// Numbers of layers.
  /// - Parameter usual: those of a study that names none.
  func depths(_ usual: Int...) -> [Int] { networks.depths?.values ?? usual }

  /// Seeds of the runs.
  var seeds: [UInt64] {
    let first = training.seed ?? RunOptions.defaults.seed
    return (0..<UInt64(budget.seeds ?? 1)).map { first &+ $0 }
  }

  /// Sets what the options say of all runs.
  func apply(to run: inout RunConfiguration, _ kind: DatasetKind, classes: [String]) throws {
    applyRecipe(to: &run, kind)
    execution.apply(to: &run)
    run.classWeights = try training.balance.weights(of: classes)
  }
}

/// List of numbers of layers, for example `20,56`.
struct Depths: ExpressibleByArgument, Equatable {
  let values: [Int]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    values = parts.compactMap { Int($0) }
    if values.count != parts.count { return nil }
  }
}

/// Networks of a study.
struct StudyNetworkOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Numbers of layers, separated by commas; each is 6n+2. Default: 20,56 for degradation, 56 for gradients, 20,32,44,56,110 \
      for depth, 20 for shortcuts.
      """, valueName: "layers,…"))
  var depths: Depths?
}

/// Returns the networks of a study.
/// - Parameters:
///   - depths: numbers of layers.
///   - least: smallest number of different depths.
///   - models: returns the networks of one depth.
/// - Throws: a usage error for an impossible depth, for one that is named twice, and for too few.
func networks(
  _ depths: [Int], atLeast least: Int = 1, _ models: (Int) -> [StudyPlan.Network]
) throws -> [StudyPlan.Network] {
  if Set(depths).count < depths.count { throw ValidationError("--depths: a number of layers is there twice") }
  if depths.count < least { throw ValidationError("--depths: at least \(least) are needed to compare") }
  let networks = depths.flatMap(models)
  for network in networks {
    guard (try? ModelConfiguration.usualInput(of: network.model.name).side) != 32 else { continue }
    throw ValidationError("--depths: there is no network \(network.model.name) for small images: a depth is 6n+2")
  }
  return networks
}
