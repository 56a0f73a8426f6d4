import ArgumentParser
import Compute
import Datasets
import Images
import Models
import ResNetKit
import Support
import Training

struct LandscapeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "landscape", abstract: "Map the loss around the weights of networks.",
    usage: "resnet landscape [options] [<checkpoint>...]",
    discussion: """
      Measures the loss on a grid of weights around those of each checkpoint, along two random directions whose filters have \
      the lengths of the network's own (Li et al. 2018). Biases and batch normalization stay as they are, with its running \
      statistics. Writes the lines of equal loss and the surface as pictures, and a table. Several networks share one scale. \
      The images are those that a network was trained on. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet landscape runs/resnet20-fashion-mnist", "resnet landscape runs/plain56 runs/resnet56 --output depth",
          "resnet landscape weights.pth --dataset folder --data photos --steps 11"))

  @Argument(
    help: ArgumentHelp(
      """
      Weights (a safetensors file or a checkpoint of torch.save), or folders of runs, whose best weights are taken. Default: the \
      newest run under \(RunFolder.home)/.
      """, valueName: "checkpoint"),
    completion: .weights)
  var checkpoints: [String] = []

  @OptionGroup(title: HelpGroup.data) var input: MeasuredDataOptions
  @OptionGroup(title: HelpGroup.data) var sample: LandscapeImagesOption
  @OptionGroup(title: HelpGroup.model) var weights: WeightsOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var precision: PrecisionOption
  @OptionGroup(title: HelpGroup.output) var grid: LandscapeOptions
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  func validate() throws {
    try precision.validate(device)
    if checkpoints.contains("") { throw ValidationError("<checkpoint> '': a path is needed") }
  }

  func run() throws {
    Signals.catchAll()
    verbosity.begin()
    let paths =
      try checkpoints.isEmpty
      ? [CheckpointOptions.newest("arguments name others", otherwise: "name weights")]
      : checkpoints.map(RunFolder.weights(at:))
    for file in LandscapeReport.files {
      try requireOther("--output", "\(grid.output)/\(file)", than: paths + [input.data, input.labeling.labels])
    }
    let networks = try paths.map { path in
      let checkpoint = try weights.checkpoint(path)
      try checkpoint.requireWeights()
      return checkpoint
    }
    try Folder.make(grid.output)
    for file in LandscapeReport.files { try AtomicFile.requireWritable("\(grid.output)/\(file)") }
    let entries = try networks.enumerated().map { index, checkpoint in
      let place = networks.count > 1 ? "network \(index + 1)/\(networks.count)" : nil
      return LandscapeReport.Entry(
        path: checkpoint.path, network: checkpoint.name, landscape: try map(checkpoint, place))
    }
    Display.shared.finish()
    let report = LandscapeReport(entries: entries, seed: grid.seed)
    try report.write(to: grid.output)
    if grid.json { printJSON(report.json) } else { print(report.text) }
    printErrorNote("written: \(LandscapeReport.files.map { "\(grid.output)/\($0)" }.joined(separator: ", "))")
  }

  /// Maps the loss of one network.
  /// - Parameter place: text that says which of several networks this is.
  private func map(_ checkpoint: Checkpoint, _ place: String?) throws -> LossLandscape {
    Display.shared.begin(.reading)
    let measured = try input.open(for: checkpoint, usual: .train)
    let images = measured.images.prefix(sample.limit)
    let source = measured.source.map { ": the first of \($0)" } ?? ""
    printErrorNote("\(checkpoint.path) is measured on \(grouped(images.count)) images\(source)")
    Display.shared.begin(.preparing)
    let precision = precision.precision ?? .fp32
    let views = try ImageViews(images)
    let classifier = try checkpoint.differentiableClassifier(
      on: device.place(), images: views.shape(ofBatch: input.batchSize), precision: precision)
    Log.opened(classifier.backend)
    let store = classifier.model.store
    let directions = (
      x: try WeightDirection(for: store, seed: grid.seed, number: 0),
      y: try WeightDirection(for: store, seed: grid.seed, number: 1)
    )
    let leftOut = LeftOutImages()
    Display.shared.begin(.reading)
    let loader = try BatchLoader(views, precision: precision, streams: true, on: classifier.backend, onDamage: leftOut.add)
    let probe = try LandscapeProbe(
      classifier, loader, batchSize: input.batchSize, directions: directions, progress: { Signals.pending == nil })
    leftOut.finish()
    Display.shared.begin(.mapping, of: grid.steps * grid.steps)
    let landscape = try probe.landscape(steps: grid.steps, range: grid.range) { done in
      Display.shared.advance(to: done, place)
      return Signals.pending == nil
    }
    Log.memory(of: classifier.backend)
    guard let landscape else { throw Signals.exitCode }
    guard landscape.center.loss.isFinite else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "the loss is not a number, so the weights or the images are far out of range")
    }
    return landscape
  }
}
