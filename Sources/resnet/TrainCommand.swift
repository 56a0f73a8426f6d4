import ArgumentParser
import CPUBackend
import Compute
import Datasets
import Formats
import Models
import NN
import OpenCLBackend
import Parallel
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
      if options.initialWeights != nil && modelOptions.zeroInit {
        throw ValidationError("--zero-init says how training starts, and --init has the weights: leave one out")
      }
      return try modelOptions.validate(options.model ?? RunOptions.defaultModel)
    }
    if output != nil { throw ValidationError("--resume goes on in the run's own folder: leave --output out") }
    // `--data` is allowed, as the data set may have moved.
    if let option = (options.given + modelOptions.given).first(where: { $0 != "--data" }) {
      throw ValidationError("--resume keeps the run's own options: leave \(option) out")
    }
  }

  func run() throws {
    Signals.catchAll()
    var (configuration, splits, initialWeights) = try prepare()
    try configuration.validate()
    try device.require(configuration.precision)
    reportIgnored(splits.train, splits.validation)
    try configuration.check(splits.train)
    if let path = showAugmentation { return try writeSheet(configuration, splits.train, to: path) }
    let images = configuration.limitTrain.map { splits.train.prefix($0) } ?? splits.train
    let backend = try open(&configuration, images)
    if Signals.pending != nil { throw Signals.exitCode }
    let folder =
      if let resume { RunFolder(existing: resume) } else {
        try RunFolder(creating: output ?? RunFolder.unused(named: "\(configuration.model.name)-\(configuration.dataset)"))
      }
    let leftOut = LeftOutImages()
    let trainer: Trainer
    do {
      trainer = try Trainer(
        configuration, splits, on: backend, folder: folder, resuming: resume != nil, initialWeights: initialWeights,
        logEvery: logEvery, onDamage: leftOut.add
      ) { batch in
        let job = KernelJob(configuration.model, images: batch, configuration.trainingOptions, training: true)
        try device.buildKernels(of: job, for: backend, isTuned: tuning.isTuned)
      }
    } catch {
      folder.discardIfUnused()
      throw error
    }
    initialWeights = nil  // The weights are on the device.
    describe(trainer, images, splits, on: backend)
    guard !trainer.isFinished else {
      return print(
        "this run is finished, all \(grouped(trainer.totalSteps)) steps are done; to train its weights further, begin a new run "
          + "with --init \(folder.lastPath)")
    }
    let (ending, profiled) = try train(trainer, on: backend)
    try report(trainer, profiled)
    leftOut.finish()
    if trainer.passedOver > 0 {
      printError(
        "\(grouped(trainer.passedOver)) \(trainer.passedOver == 1 ? "batch was" : "batches were") passed over, as only one image was "
          + "left: batch normalization needs two values a channel, and the last stage has one pixel an image")
    }
    guard ending == .stopped else { return }
    printError("stopped at step \(trainer.step); go on with: \(goOn(folder))")
    throw Signals.exitCode
  }

  private func writeSheet(_ configuration: RunConfiguration, _ images: any LabelledImages, to path: String) throws {
    try AtomicFile.requireWritable(path)
    let sheet = try ContactSheet(configuration, images, on: CPUBackend(), onDamage: LeftOutImages().add)
    try sheet.image.writePNG(to: path)
    print("\(path): \(sheet.samples) images, as they are and in \(sheet.epochs) epochs")
  }

  /// Opens the devices, and records how several of them share a batch.
  private func open(_ configuration: inout RunConfiguration, _ images: any LabelledImages) throws -> any Backend {
    let size = images.shape
    let batch: Shape = [min(configuration.batchSize, size[0]), size[1], size[2], size[3]]
    let (model, precision) = (configuration.model, configuration.precision ?? .fp32)
    let sharing = Sharing(
      configuration: model, images: batch, recompute: configuration.recompute ?? false, precision: precision,
      known: configuration.shares)
    let backend = try tuning.backend(device, profiling: profile, sharing: sharing, buildsSample: false) {
      try convolutions(of: model, images: batch, precision: precision)
    }
    if let several = backend as? ParallelBackend { configuration.shares = several.split.weights }
    return backend
  }

  /// Prints the model, the data and the folder of the run, and notes for the user.
  private func describe(
    _ trainer: Trainer, _ images: any LabelledImages, _ splits: LabelledSplits, on backend: any Backend
  ) {
    let (configuration, size) = (trainer.configuration, images.shape)
    print(
      "\(configuration.model.name), \(grouped(trainer.model.store.parameterCount)) parameters, on \(backend.name)\n"
        + "\(configuration.dataset), \(grouped(size[0])) images of \(size[1])×\(size[2])×\(size[3]) to train on, "
        + "\(grouped(splits.validation.count)) to validate on; run in \(trainer.folder.path)")
    if configuration.dataset == DatasetKind.folder.rawValue {
      let names = images.classes
      print(
        "\(grouped(names.count)) classes: \(names.prefix(5).map(printable).joined(separator: ", "))\(names.count > 5 ? ", …" : "")"
      )
    }
    for note in splits.notes + trainer.notes { print(printable(note)) }
    if configuration.initialWeights != nil && options.learningRate == nil && resume == nil {
      print("learning rate \(configuration.learningRate), a tenth of the usual one, as the weights are trained already")
    }
    guard !trainer.isFinished else { return }
    if let math = device.describeMath(on: backend, configuration.precision ?? .fp32) { print(math) }
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
      let folder = trainer.folder
      guard folder.holdsState else { throw failure }
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
          + "\(trainer.configuration.precision ?? .fp32) while the loss scale was too large for them")
    }
  }

  private func goOn(_ folder: RunFolder) -> String { "resnet train --resume \(folder.path)" }

  /// Returns the run's options and data, checked against each other, and the weights that it starts from.
  private func prepare() throws -> (RunConfiguration, LabelledSplits, Weights?) {
    if let resume {
      let folder = RunFolder(existing: resume)
      var configuration = try folder.configuration()
      configuration.data = options.absoluteData ?? configuration.data
      if let data = configuration.data, !InputFile.exists(data) {
        throw Failure(
          .notFound, "\(data), the run's data set, is not there", remedy: "where it has moved to, \(Setting.data) says")
      }
      let kind = try about(folder.configurationPath) {
        try configuration.checkLayers()
        return try DatasetKind(named: configuration.dataset)
      }
      return (
        configuration,
        try kind.open(
          from: configuration.data, imageSize: configuration.imageSize ?? 224, evaluation: configuration.evaluation,
          normalization: configuration.normalization, damaged: configuration.damaged ?? .fail), nil
      )
    }
    let kind = options.dataset ?? RunOptions.defaultDataset
    let weights = try options.initialWeights.map(options.place.weights)
    let initial = try weights.flatMap(initialNetwork)
    let name = options.model ?? initial?.model.name ?? RunOptions.defaultModel
    if kind == .folder, options.imageSize == nil, let trained = initial?.imageSize, trained[0] != trained[1] {
      throw usageError("the weights are from images of \(trained[0])×\(trained[1]), photographs are cut square: add --image-size")
    }
    let side = try options.imageSize ?? initial?.imageSize?[0] ?? ModelConfiguration.usualInput(of: name).side
    // The same pixels must give the network the same input as before.
    let normalization = kind == .folder ? initial.flatMap(Self.normalization) : nil
    let evaluation =
      kind == .folder
      ? try options.resizing.recipe(completedBy: initial?.evaluation, trainedOn: initial?.imageSize, crop: side) : nil
    let splits = try kind.open(
      from: options.data, imageSize: side, evaluation: evaluation, normalization: normalization,
      damaged: options.damaged ?? .fail)
    let model = modelOptions.configuration(
      name, classes: splits.train.classes.count, channels: splits.train.shape[3], like: initial?.model)
    var run = options.configuration(model, kind, imageSize: side)
    run.normalization = normalization
    run.evaluation = evaluation
    try usage { try run.checkLayers() }
    return (run, splits, weights)
  }

  /// Describes the network of the weights to start from; nil if `--model` names the network and the weights do not.
  private func initialNetwork(_ weights: Weights) throws -> Weights.Description? {
    if let description = weights.description { return description }
    guard options.model == nil, let path = options.initialWeights else { return nil }
    return try about(path) {
      try Weights.Description(imported: WeightsOptions.network(of: weights, path, ignoringHead: true))
    }
  }

  /// Returns the normalization of photographs for a network; nil if it is not known and the usual one is to be used.
  private static func normalization(of network: Weights.Description) -> Normalization? {
    let grey = network.model.channels == 1 ? Normalization.imageNetGrey : nil
    guard let known = network.normalization, known.range == 255, [1, 3].contains(known.mean.count) else { return grey }
    return known
  }
}
