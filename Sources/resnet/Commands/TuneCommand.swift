import ArgumentParser
import Compute
import Formats
import Models
import OpenCLBackend
import ResNetKit
import Support

struct TuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tune", abstract: "Find the fastest kernels for a model's convolutions on this device, and save the choices.",
    usage: "resnet tune [options] [<model>]",
    discussion: """
      Every algorithm for each pass of each convolution is checked against the CPU reference, then timed. The results are used \
      from then on for the same shapes: batch size, image size and channels. Without a model, it tunes what `resnet train` runs \
      without options. Earlier results are kept; `resnet cache clear` removes them. Ctrl-C keeps the results so far.
      """
        + "\n\n"
        + examples(
          "resnet tune", "resnet tune resnet50 --batch-size 16", "resnet tune resnet18 --budget 60 --device opencl:0.0"))

  @OptionGroup(title: HelpGroup.model) var modelOptions: ModelOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var precision: PrecisionOption
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  @Argument(
    help: "Model, for example resnet20 or resnet50. Default: resnet20 on images of 28×28×1.", completion: .models)
  var model: String?

  @Option(help: "Batch size.")
  var batchSize = 128

  @Option(help: "Image height and width. Default: 224 for the ImageNet family, 32 for other models.")
  var imageSize: Int?

  @Option(help: "Number of image channels. Default: 3.")
  var channels: Int?

  @Option(help: ArgumentHelp("Time limit in seconds; the heaviest convolutions come first. Default: none.", valueName: "seconds"))
  var budget: Double?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try modelOptions.validate(model ?? TrainingSetup.defaultModel)
    try requireSizes(["--batch-size": batchSize, "--image-size": imageSize], in: 1...1 << 20)
    try requireSizes(["--channels": channels], in: ModelConfiguration.channelCounts)
    if let budget, !(budget > 0 && budget.isFinite) { throw ValidationError("--budget \(budget): a positive number of seconds") }
    if device.isReference { throw ValidationError("there is nothing to tune on --device cpu, the reference") }
    try device.requireOne("`resnet tune` tunes one device, for its share of a batch")
  }

  func run() throws {
    Signals.catchAll()
    verbosity.begin()
    let name = model ?? TrainingSetup.defaultModel
    let usual = try ModelConfiguration.usualInput(of: name)
    let side = imageSize ?? (model == nil ? 28 : usual.side)
    let channels = channels ?? (model == nil ? 1 : 3)
    let configuration = modelOptions.configuration(name, classes: usual.classes, channels: channels)
    let shape: Shape = [batchSize, side, side, channels]
    let (precision, math) = (precision.precision ?? .fp32, device.math ?? .exact)
    let place = try self.device.place()
    let devices = try place.openCLDevices()
    try place.tellMovedCache(of: devices)
    try place.tryDrivers(of: devices)
    let device = devices[0]
    let options = TrainingOptions(precision: precision)
    let weights = try Work(configuration, images: shape, options, isTraining: true).convolutions()
    try Summary(configuration, images: shape, options).requireMemoryForTraining(
      on: OpenCLBackend(device: device, math: math))
    let cache = try place.cache(of: device)
    let table = try place.tune(weights, on: device, budget: budget)
    Display.shared.finish()
    let works = weights.sorted { ($1.value, $0.key.description) < ($0.value, $1.key.description) }.map(\.key)
    if json {
      printJSON(
        .members([
          "device": .string(try device.name), "cache": cache.map { .string($0.path) } ?? .null,
          "convolutions": .array(works.map { describe($0, table[$0, math]) }),
        ]))
    } else {
      show(works, table, math)
      if let cache { print("\nkept in \(cache.path)") }
    }
    if Signals.pending != nil { throw Signals.exitCode }
  }

  private func show(_ works: [ConvolutionWork], _ table: TuningTable, _ math: MathMode) {
    var rows = Table(["convolution", "built-in ms", "ms", "gain", "choice"])
    for work in works {
      guard let entry = table[work, math] else {
        rows.add([work.description, "", "", "", "not tuned"])
        continue
      }
      rows.add([
        work.description, fixed(entry.builtInSeconds * 1e3, 3), fixed(entry.seconds * 1e3, 3), gain(of: entry),
        entry.choice?.description ?? "",
      ])
    }
    print(rows.text)
  }
}

/// Describes the tuning result of a convolution.
func describe(_ work: ConvolutionWork, _ entry: TuningTable.Entry?) -> JSON {
  .members([
    "work": .string(work.description), "choice": entry?.choice.map { .string($0.description) } ?? .null,
    "built_in_seconds": entry.map { .number($0.builtInSeconds) } ?? .null, "seconds": entry.map { .number($0.seconds) } ?? .null,
    "complete": .boolean(entry?.isComplete ?? false),
  ])
}
