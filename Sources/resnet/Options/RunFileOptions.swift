import ArgumentParser
import Support

/// Options of what a run writes and shows, and of the run that it goes on with.
struct RunFileOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Folder of the run. Default: a new one under runs/.", valueName: "folder"), completion: .directory)
  var output: String?

  @Option(
    help: ArgumentHelp("Continue the run in this folder, with its own options.", valueName: "folder"), completion: .runs)
  var resume: String?

  @Option(help: ArgumentHelp("Number of steps between records of the loss.", valueName: "steps", visibility: .hidden))
  var logEvery = 10

  @Option(
    help: ArgumentHelp(
      "Instead of training, write a PNG of eight training images, each as it is and as augmented in eight epochs.",
      valueName: "file.png"),
    completion: .file(extensions: ["png"]))
  var showAugmentation: String?

  @Flag(
    help: ArgumentHelp(
      "Show at the end the time of each kernel in the training steps, and how much of the steps the host needed.",
      visibility: .hidden))
  var profile = false

  func validate() throws {
    if logEvery < 1 { throw ValidationError("--log-every \(logEvery): at least one step is needed") }
    try requirePaths(["--output": output, "--resume": resume, "--show-augmentation": showAugmentation])
    if let showAugmentation, !showAugmentation.lowercased().hasSuffix(".png") {
      throw ValidationError("--show-augmentation '\(showAugmentation)': it is a PNG, and its name ends in .png")
    }
  }
}
