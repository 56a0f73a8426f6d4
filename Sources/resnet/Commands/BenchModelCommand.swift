import ArgumentParser
import Compute
import Formats
import Models
import OpenCLBackend
import Parallel
import ResNetKit
import Support

struct BenchModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model", abstract: "Measure a model's throughput in training and inference on random images.",
    usage: "resnet bench model [options] <model>",
    discussion: examples(
      "resnet bench model resnet20", "resnet bench model resnet50 --batch-size 16 --profile",
      "resnet bench model resnet50 --precision fp16 --device opencl:0.0"))

  @Argument(help: "Model, for example resnet20 or resnet50.", completion: .models)
  var model: String

  @OptionGroup(title: HelpGroup.data) var input: InputOptions
  @OptionGroup(title: HelpGroup.model) var modelOptions: ModelOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var execution: ExecutionOptions
  @OptionGroup(title: HelpGroup.device) var tuning: TuneOption
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  @Option(help: "Number of timed steps, whose median counts. Two untimed steps come first.")
  var steps = 7

  @Flag(help: "Print JSON.")
  var json = false

  @Flag(help: "Show the time of each kernel in training, longest first.")
  var profile = false

  func validate() throws {
    try tuning.validate(device)
    try execution.precision.validate(device)
    try modelOptions.validate(model)
    try requireSizes(["--steps": steps], in: 1...1 << 20)
    if profile { try device.requireProfile() }
  }

  func run() throws {
    if tuning.tune != nil { Signals.catchAll() }
    verbosity.begin()
    let classes = try ModelConfiguration.usualInput(of: model).classes
    let shape = try input.images(for: model, defaultBatch: 128)
    let configuration = modelOptions.configuration(model, classes: classes, channels: shape[3])
    let precision = execution.precision.precision ?? .fp32
    Display.shared.begin(.preparing)
    let options = TrainingOptions(recompute: execution.recompute, precision: precision, guardsSteps: true)
    let work = Work(configuration, images: shape, options, isTraining: true)
    let place = try device.place(tuning.mode)
    let backend = try place.open(for: work, profiling: profile, triesDriver: false)
    try Summary(configuration, images: shape, options, on: backend).requireMemoryForTraining(on: backend)
    try place.prepare(work, for: backend)
    Log.opened(backend)
    Display.shared.begin(.preparing)
    let trial = try ModelTrial(configuration, images: shape, options, on: backend)
    let total = 2 * (ModelTrial.untimedSteps + steps)
    var done = 0
    func speed(_ detail: String, _ step: () throws -> Void) throws -> Double {
      let builds = BuildLog(watching: backend)
      return try trial.imagesPerSecond(steps, step) {
        builds.endWatching(backend)
        done += 1
        Display.shared.advance(.measuring, to: done, of: total, detail)
      }
    }
    let trained = try speed("training", trial.train)
    let peak = backend.memory.peakBytesHeld
    let profiled = profile ? try (backend as? OpenCLBackend).map { try profileOf(trial.train, on: $0) } : nil
    let inferred = try speed("inference", trial.infer)
    Display.shared.finish()
    Log.memory(of: backend)
    if json {
      printJSON(
        .members([
          "model": .string(model), "batch_size": .integer(shape[0]), "image_size": .integer(shape[1]),
          "precision": .string(precision.rawValue), "math": .string((device.math ?? .exact).rawValue),
          "train_images_per_second": .number(trained), "infer_images_per_second": .number(inferred), "peak_bytes": .integer(peak),
          "resident_peak_bytes": HostMemory.residentPeak().map(JSON.integer) ?? .null, "device": .string(backend.name),
          "shares": (backend as? ParallelBackend).map { .array($0.shares(ofBatch: shape[0]).map(JSON.integer)) } ?? .null,
          "profile": profiled?.json ?? .null,
        ]))
      return
    }
    print(
      "\(model), batch \(shape[0]), \(shape[1])×\(shape[2])×\(shape[3]), on \(backend.name)\n"
        + "training \(fixed(trained, 1)) images/s, inference \(fixed(inferred, 1)) images/s, peak memory \(bytes(peak))")
    if let math = device.describeMath(on: backend, precision) { print(math) }
    if let several = backend as? ParallelBackend { print(several.describeSplit(ofBatch: shape[0])) }
    if let profiled { print("\n" + profiled.text) }
  }

  /// Profiles the steps in another run, one after the other as in training.
  private func profileOf(_ step: () throws -> Void, on backend: OpenCLBackend) throws -> StepProfile {
    try step()
    try backend.finish()
    backend.startProfile()
    let start = ContinuousClock.now
    for _ in 0..<steps { try step() }
    let host = (ContinuousClock.now - start).seconds
    try backend.finish()
    let wall = (ContinuousClock.now - start).seconds
    return StepProfile(profile: try backend.endProfile(), steps: steps, host: host, wall: wall)
  }
}
