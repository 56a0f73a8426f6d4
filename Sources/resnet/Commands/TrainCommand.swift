import ArgumentParser
import CPUBackend
import Compute
import Datasets
import Formats
import Models
import NN
import OpenCLBackend
import Parallel
import ResNetKit
import Support
import Training

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a network.",
    discussion: """
      Without options, this trains ResNet-20 on Fashion-MNIST on the best OpenCL device. The run's folder contains config.json, \
      metrics.jsonl, last.safetensors, best.safetensors and resume.safetensors. Ctrl-C saves the training state and stops; \
      --resume continues from there.
      """)

  @OptionGroup var device: DeviceOption
  @OptionGroup var tuning: TuneOption
  @OptionGroup(title: "Model") var modelOptions: ModelOptions
  @OptionGroup(title: "Run") var options: RunOptions

  @Option(help: ArgumentHelp("Folder of the run. Default: a new one under runs/.", valueName: "folder"))
  var output: String?

  @Option(help: ArgumentHelp("Continue the run in this folder, with its own options.", valueName: "folder"))
  var resume: String?

  @Option(help: ArgumentHelp("Number of steps between records of the loss.", valueName: "steps"))
  var logEvery = 10

  @Option(
    help: ArgumentHelp(
      "Instead of training, write a PNG of eight training images, each as it is and as augmented in eight epochs.",
      valueName: "file.png"))
  var showAugmentation: String?

  @Flag(help: "Show at the end the time of each kernel in the training steps, and how much of the steps the host needed.")
  var profile = false

  func validate() throws {
    try tuning.validate(device)
    try options.precision.validate(device)
    if profile { try device.requireProfile() }
    if logEvery < 1 { throw ValidationError("--log-every \(logEvery): at least one step is needed") }
    try requirePaths(["--output": output, "--resume": resume, "--show-augmentation": showAugmentation])
    if let showAugmentation, !showAugmentation.lowercased().hasSuffix(".png") {
      throw ValidationError("--show-augmentation '\(showAugmentation)': it is a PNG, and its name ends in .png")
    }
    guard resume != nil else {
      try options.requirePhotographs()
      if options.`init` != nil && modelOptions.zeroInit {
        throw ValidationError("--zero-init says how training starts, and --init has the weights: leave one out")
      }
      return try modelOptions.validate(options.model ?? TrainingSetup.defaultModel)
    }
    if output != nil { throw ValidationError("--resume goes on in the run's own folder: leave --output out") }
    // `--data` is allowed, as the data set may have moved.
    if let option = (options.given + modelOptions.given).first(where: { $0 != "--data" }) {
      throw ValidationError("--resume keeps the run's own options: leave \(option) out")
    }
  }

  func run() throws {
    Signals.catchAll()
    var prepared = try prepare()
    let splits = prepared.splits
    reportIgnored(splits.train, splits.validation)
    try prepared.check()
    if let path = showAugmentation { return try writeSheet(prepared.configuration, splits.train, to: path) }
    let leftOut = LeftOutImages()
    let session = try TrainingSession(
      prepared, device: device.place(tuning.mode), folder: try folder(for: prepared.configuration), isResumed: resume != nil,
      profiling: profile, logEvery: logEvery, onDamage: leftOut.add)
    prepared.initialWeights = nil  // The weights are on the device.
    let (trainer, backend) = (session.trainer, session.backend)
    let folder = session.requireFolder()
    describe(session)
    guard !trainer.isFinished else {
      let reason =
        trainer.earlyEnd.map { "\($0), up to epoch \(trainer.epochsDone)" } ?? "all \(grouped(trainer.totalSteps)) steps are done"
      return print(
        "this run is finished, \(reason); to train its weights further, begin a new run "
          + "with --init \(folder.lastPath)")
    }
    let (ending, profiled) = try train(trainer, on: backend)
    try report(trainer, profiled)
    leftOut.finish()
    if trainer.passedOver > 0 {
      printError(
        "\(grouped(trainer.passedOver)) \(trainer.passedOver == 1 ? "batch was" : "batches were") passed over, as only one image "
          + "was left: batch normalization needs two values a channel, and the last stage has one pixel an image")
    }
    if let reason = trainer.earlyEnd {
      print(
        "ended after epoch \(trainer.epochsDone) of \(trainer.configuration.epochs), as \(reason); the best weights are in "
          + folder.bestPath)
    }
    guard ending == .stopped else { return }
    printError("stopped at step \(trainer.step); go on with: \(goOn(folder))")
    throw Signals.exitCode
  }

  private func writeSheet(_ configuration: RunConfiguration, _ images: any ImageSource, to path: String) throws {
    try AtomicFile.requireWritable(path)
    let sheet = try ContactSheet(configuration, images, on: CPUBackend(), onDamage: LeftOutImages().add)
    try sheet.image.writePNG(to: path)
    print("\(path): \(sheet.samples) images, as they are and in \(sheet.epochs) epochs")
  }

  /// Returns the run's folder: the one to go on in, or a new one.
  private func folder(for run: RunConfiguration) throws -> RunFolder {
    if let resume { return RunFolder(existing: resume) }
    return try RunFolder(creating: output ?? RunFolder.unused(named: "\(run.model.name)-\(run.data.name)"))
  }

  /// Prints the model, the data and the folder of the run, and notes for the user.
  private func describe(_ session: TrainingSession) {
    let (trainer, backend) = (session.trainer, session.backend)
    let (configuration, size) = (trainer.configuration, session.images.shape)
    print(
      "\(configuration.model.name), \(grouped(trainer.model.store.parameterCount)) parameters, on \(backend.name)\n"
        + "\(configuration.data.name), \(grouped(size[0])) images of \(size[1])×\(size[2])×\(size[3]) to train on, "
        + "\(grouped(trainer.validationCount)) to validate on\(trainer.folder.map { "; run in \($0.path)" } ?? "")")
    if configuration.data.name == DatasetKind.folder.rawValue {
      let names = session.images.classes
      print(
        "\(grouped(names.count)) classes: \(names.prefix(5).map(printable).joined(separator: ", "))"
          + (names.count > 5 ? ", …" : ""))
    }
    print(session.images.classCountsDescription)
    for note in session.notes { print(printable(note.line)) }
    if configuration.initialWeights != nil && options.learningRate == nil && resume == nil {
      print("learning rate \(configuration.optimizer.learningRate), a tenth of the usual one, as the weights are trained already")
    }
    guard !trainer.isFinished else { return }
    if let math = device.describeMath(on: backend, configuration.precision) { print(math) }
    if let several = backend as? ParallelBackend { print(several.describeSplit(ofBatch: min(configuration.batchSize, size[0]))) }
  }

  /// Trains to the end or until a signal, and shows the progress.
  private func train(_ trainer: Trainer, on backend: any Backend) throws -> (Trainer.Ending, Profile) {
    var profiled = Profile()
    if profile, let backend = backend as? OpenCLBackend {
      trainer.onTiming = { begin in begin ? backend.startProfile() : profiled.merge(try backend.endProfile()) }
    }
    let progress = ProgressReporter(stepsPerEpoch: trainer.stepsPerEpoch, totalSteps: trainer.totalSteps)
    // Kernels that were not built ahead are built in the first steps.
    let (builds, device) = (KernelProgress(), backend as? OpenCLBackend)
    device?.watchBuilds { _ in builds.advance() }
    func report(_ event: TrainingEvent) {
      device?.watchBuilds(nil)
      builds.finish()
      progress.report(event)
    }
    do {
      defer {
        builds.finish()
        progress.finish()
      }
      return (try trainer.run(shouldStop: { Signals.pending != nil }, report: report), profiled)
    } catch let failure as Failure where failure.kind == .diverged {
      throw failure  // A resumed run would diverge again.
    } catch {
      let failure = error as? Failure ?? Failure(.device, "\(error)")
      guard let folder = trainer.folder, folder.holdsState else { throw failure }
      throw Failure(failure.kind, "\(failure); what was saved stays, go on with: \(goOn(folder))")
    }
  }

  /// Prints how the time was spent, and how many steps were skipped.
  private func report(_ trainer: Trainer, _ profiled: Profile) throws {
    let timing = trainer.timing
    if profile && timing.steps > 0 {
      print("\n" + StepProfile(profile: profiled, steps: timing.steps, host: timing.host, wall: timing.wall).text)
    }
    if timing.waited > max(1, timing.wall / 10) {
      printError(
        "\(fixed(timing.waited, 1)) s of \(fixed(timing.wall, 1)) s of training were spent waiting for images to be "
          + "decoded and augmented: see resnet bench loader")
    }
    if case let skipped = try trainer.skippedSteps(), skipped > 0 {
      print(
        "\(grouped(skipped)) of \(grouped(trainer.step)) steps were left out, whose gradients overflowed in "
          + "\(trainer.configuration.precision) while the loss scale was too large for them")
    }
  }

  private func goOn(_ folder: RunFolder) -> String { "resnet train --resume \(folder.path)" }

  /// Returns the run's options and data, and the weights that it starts from.
  private func prepare() throws -> TrainingSetup.Prepared {
    if let resume { return try TrainingSetup.resuming(RunFolder(existing: resume), path: options.data) }
    let kind = options.dataset ?? RunOptions.defaultDataset
    var setup = TrainingSetup(TrainingData(kind, path: options.data, validationShare: options.share))
    setup.model = options.model
    setup.build = { modelOptions.configuration($0, classes: $1, channels: $2, like: $3) }
    (setup.initialWeights, setup.initialPlace) = (options.`init`, options.place.place)
    let photographs = options.photographs
    (setup.imageSize, setup.evaluation) = (photographs.imageSize, photographs.resizing.recipe)
    setup.damaged = photographs.damaged ?? .fail
    var prepared = try setup.prepare()
    for notice in prepared.notices { printError(notice.line) }
    options.apply(to: &prepared.configuration, kind)
    prepared.configuration.classWeights = try options.balance.weights(of: prepared.splits.train.classes)
    try usage { try prepared.configuration.checkLayers() }
    return prepared
  }
}
