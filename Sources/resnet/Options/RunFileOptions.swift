import ArgumentParser
import Support
import Training

extension SaveInterval: ExpressibleByArgument {}

/// Options of what a run writes and shows, and of the run that it goes on with.
struct RunFileOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Folder of the run. Default: a new one under runs/.", valueName: "folder"), completion: .directory)
  var output: String?

  @Option(
    help: ArgumentHelp("Continue the run in this folder, with its own options.", valueName: "folder"), completion: .runs)
  var resume: String?

  @Flag(help: "Also record the run for TensorBoard, in its folder: figures, distributions of weights and gradients, settings.")
  var tensorboard = false

  @Option(
    help: ArgumentHelp(
      """
      Steps or time between two saves of the state while training goes on: 500, 30s, 10m, 2h, or never, which leaves the ends of \
      epochs. Default: 10m.
      """, valueName: "interval"))
  var saveEvery: SaveInterval?

  @Option(help: ArgumentHelp("Number of states that are kept. Default: 2.", valueName: "states", visibility: .hidden))
  var keepStates: Int?

  @Flag(
    help: ArgumentHelp(
      "With --resume: go on with a config.json that was changed since the state was saved.", visibility: .hidden))
  var allowConfigChange = false

  @Flag(help: ArgumentHelp("With --resume: go on with images that have changed since the run began.", visibility: .hidden))
  var allowDataChange = false

  @Option(
    help: ArgumentHelp("Number of steps between records of the loss. Default: 10.", valueName: "steps", visibility: .hidden))
  var logEvery: Int?

  @Option(
    help: ArgumentHelp(
      "Instead of training, write a PNG of eight training images, each as it is and as augmented in eight epochs.",
      valueName: "file.png"),
    completion: .file(extensions: ["png"]))
  var showAugmentation: String?

  @Option(
    help: ArgumentHelp(
      """
      Instead of training, raise the learning rate in 100 steps (or --max-steps), suggest one, and draw the loss at each rate as \
      SVG.
      """, valueName: "file.svg"),
    completion: .file(extensions: ["svg"]))
  var findRate: String?

  @Flag(
    help: ArgumentHelp(
      "Show at the end the time of each kernel in the training steps, and how much of the steps the host needed.",
      visibility: .hidden))
  var profile = false

  func validate() throws {
    var run = RunOptions.defaults
    apply(to: &run)
    try usage { try run.validate() }
    if resume == nil, let option = given.first(where: ["--allow-config-change", "--allow-data-change"].contains) {
      throw ValidationError("\(option) is for a run that goes on: add --resume")
    }
    try requirePaths(["--output": output, "--resume": resume, "--show-augmentation": showAugmentation, "--find-rate": findRate])
    if let showAugmentation, !showAugmentation.lowercased().hasSuffix(".png") {
      throw ValidationError("--show-augmentation '\(showAugmentation)': it is a PNG, and its name ends in .png")
    }
    try validateFindRate()
  }

  /// Sets what the options say of a run's files; the rest stays as it is.
  func apply(to run: inout RunConfiguration) {
    var files = run.files ?? RunFileSettings()
    files.logEvery = logEvery ?? files.logEvery
    files.saveEvery = saveEvery ?? files.saveEvery
    files.keepStates = keepStates ?? files.keepStates
    run.files = files
  }

  private func validateFindRate() throws {
    guard let findRate else { return }
    if !findRate.lowercased().hasSuffix(".svg") {
      throw ValidationError("--find-rate '\(findRate)': it is an SVG picture, and its name ends in .svg")
    }
    if resume != nil { throw ValidationError("--find-rate is for a new run: leave --resume out") }
    if output != nil { throw ValidationError("--find-rate makes no run: leave --output out") }
    if showAugmentation != nil {
      throw ValidationError("--find-rate and --show-augmentation each take the place of training: leave one out")
    }
    if profile { throw ValidationError("--find-rate has no profile: leave --profile out") }
    if tensorboard { throw ValidationError("--find-rate makes no run: leave --tensorboard out") }
  }
}
