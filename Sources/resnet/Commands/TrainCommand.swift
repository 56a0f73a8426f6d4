import ArgumentParser
import CPUBackend
import Compute
import Datasets
import Formats
import Foundation
import Models
import NN
import OpenCLBackend
import Parallel
import ResNetKit
import Support
import Training

struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train a network.", usage: "resnet train [options]",
    discussion: """
      Without options, this trains ResNet-20 on Fashion-MNIST on the best OpenCL device. The run's folder contains config.json, \
      metrics.jsonl, layers.jsonl, last.safetensors, best.safetensors and the newest states of training; report.html there shows \
      what happened. Ctrl-C saves the state and stops; --resume continues from the newest state, also after a crash or a power \
      cut. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet train --epochs 20",
          "resnet train --model resnet56 --dataset cifar10 --data cifar-10-batches-bin",
          "resnet train --init resnet50.pth --dataset folder --data flowers --epochs 5"))

  @OptionGroup var options: RunOptions
  @OptionGroup(title: HelpGroup.training) var configuration: ConfigurationOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var execution: ExecutionOptions
  @OptionGroup(title: HelpGroup.device) var tuning: TuneOption
  @OptionGroup(title: HelpGroup.output) var files: RunFileOptions
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  func validate() throws {
    try tuning.validate(device)
    try execution.precision.validate(device)
    if profile { try device.requireProfile() }
    guard resume != nil else {
      // The contents of a path show later.
      if let complaint = options.data.known.flatMap(options.data.complaint) { throw ValidationError(complaint.line) }
      let network = options.network
      if options.start.`init` != nil && network.build.zeroInit {
        throw ValidationError("--zero-init says how training starts, and --init has the weights: leave one out")
      }
      return try network.build.validate(network.model ?? TrainingSetup.defaultModel)
    }
    if files.output != nil { throw ValidationError("--resume goes on in the run's own folder: leave --output out") }
    // The data set may have moved, a run may have more epochs, and what follows a fault changes no step without one.
    let given = configuration.given + options.given + execution.given
    if let option = given.first(where: { !["--data", "--epochs", "--on-fault"].contains($0) }) {
      throw ValidationError("--resume keeps the run's own options: leave \(option) out")
    }
  }

  private var resume: String? { files.resume }
  private var profile: Bool { files.profile }

  func run() throws {
    Signals.catchAll()
    StandardStreams.neverWait()
    verbosity.begin(.output)
    Display.shared.begin(.reading)
    var prepared = try prepare()
    let splits = prepared.splits
    reportIgnored(splits.train, splits.validation)
    try prepared.check()
    if configuration.printConfig {
      let given = GivenArguments(try ExpandedArguments(Array(CommandLine.arguments.dropFirst())).arguments)
      return print(try EffectiveConfiguration(prepared.configuration, given).yaml(), terminator: "")
    }
    if let path = files.showAugmentation { return try writeSheet(prepared.configuration, splits.train, to: path) }
    Display.shared.begin(.preparing)
    if let path = files.findRate { return try searchRate(prepared, drawing: path) }
    let leftOut = LeftOutImages()
    let session = try TrainingSession(
      prepared, device: device.place(tuning.mode), folder: try folder(for: prepared.configuration), isResumed: resume != nil,
      profiling: profile, onDamage: leftOut.add)
    prepared.initialWeights = nil  // The weights are on the device.
    let (trainer, backend) = (session.trainer, session.backend)
    let folder = session.requireFolder()
    describe(session)
    guard !trainer.isFinished else {
      let reason =
        trainer.earlyEnd.map { "\($0), up to epoch \(trainer.epochsDone)" } ?? "all \(grouped(trainer.totalSteps)) steps are done"
      return print(
        "this run is finished, \(reason); to train on, add --epochs with a larger number, or begin a new run "
          + "with --init \(shellQuoted(folder.lastPath))")
    }
    let drivers = device.isReference ? [] : try device.place().openCLDevices().map { try $0.driverVersion }
    Log.opened(backend)
    Log.debug("batches of \(min(trainer.configuration.batchSize, session.images.count)) images, \(session.images.shape)")
    let board = try tensorBoardLog(session)
    let start = ContinuousClock.now
    let (outcome, profiled): (Trainer.Ending, Profile)
    do {
      (outcome, profiled) = try folder.recordingSession(on: backend.name, drivers) { try train(session, for: board) }
    } catch {
      // The run's own error is the one that counts.
      _ = folder.writeReport(session.splits, after: error)
      try? board?.end(succeeding: false)
      throw error
    }
    if let failure = folder.writeReport(session.splits) { printError("warning: there is no report: \(failure.line)") }
    Log.memory(of: backend)
    let ending = Ending(trainer: trainer, folder: folder, seconds: (ContinuousClock.now - start).seconds)
    if outcome == .finished, let results = ending.results { print(results) }
    try report(trainer, profiled)
    leftOut.finish()
    if trainer.passedOver > 0 {
      printError(
        "\(grouped(trainer.passedOver)) \(trainer.passedOver == 1 ? "batch was" : "batches were") passed over, as only one image "
          + "was left: batch normalization needs two values a channel, and the last stage has one pixel an image")
    }
    if let reason = trainer.earlyEnd {
      printNote(
        "ended after epoch \(trainer.epochsDone) of \(trainer.configuration.epochs), as \(reason)"
          + (trainer.bestFigures == nil ? "" : "; the best weights are in \(folder.bestPath)"))
    }
    if outcome == .finished {
      try board?.end()
      try ending.requireBest()
      return printNote(ending.next)
    }
    if let failure = board?.failure { printError("warning: the record for TensorBoard ends early: \(failure.line)") }
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
    return try RunFolder(creating: files.output ?? RunFolder.unused(named: "\(run.model.name)-\(run.data.name)"))
  }

  /// Prints the model, the data and the folder of the run, and notes for the user.
  func describe(_ session: TrainingSession) {
    let (trainer, backend) = (session.trainer, session.backend)
    let (configuration, size) = (trainer.configuration, session.images.shape)
    printNote(
      "\(configuration.model.name), \(grouped(trainer.model.store.parameterCount)) parameters, on \(backend.name)\n"
        + "\(configuration.data.name), \(grouped(size[0])) images of \(size[1])×\(size[2])×\(size[3]) to train on, "
        + "\(grouped(trainer.validationCount)) to validate on\(trainer.folder.map { "; run in \($0.path)" } ?? "")")
    if configuration.data.name == DatasetKind.folder.rawValue {
      let names = session.images.classes
      printNote(
        "\(grouped(names.count)) classes: \(names.prefix(5).map(printable).joined(separator: ", "))"
          + (names.count > 5 ? ", …" : ""))
    }
    printNote(session.images.classCountsDescription)
    for note in session.notes { printNote(printable(note.line)) }
    if configuration.initialWeights != nil && options.training.learningRate == nil && resume == nil && files.findRate == nil {
      printNote(
        "learning rate \(configuration.optimizer.learningRate), a tenth of the usual one, as the weights are trained already")
    }
    guard !trainer.isFinished else { return }
    if resume != nil, !device.isReference, let note = tuning.noteOnResumedRun { printNote(note) }
    if let math = device.describeMath(on: backend, configuration.precision) { printNote(math) }
    if let several = backend as? ParallelBackend {
      printNote(several.describeSplit(ofBatch: min(configuration.batchSize, size[0])))
    }
  }

  /// Returns the record for TensorBoard, if one is wanted. A resumed run goes on with the record that it has.
  private func tensorBoardLog(_ session: TrainingSession) throws -> TensorBoardLog? {
    let isWanted = try files.tensorboard || (resume != nil && TensorBoardLog.isKept(in: session.requireFolder().path))
    return isWanted ? try TensorBoardLog(session) : nil
  }

  /// Trains to the end or until a signal, and shows the progress.
  /// - Parameter board: record for TensorBoard; nil for none.
  private func train(_ session: TrainingSession, for board: TensorBoardLog?) throws -> (Trainer.Ending, Profile) {
    let (trainer, backend) = (session.trainer, session.backend)
    var profiled = Profile()
    if profile, let backend = backend as? OpenCLBackend {
      trainer.onTiming = { begin in begin ? backend.startProfile() : profiled.merge(try backend.endProfile()) }
    }
    let progress = TrainingReport(trainer, session.images)
    let builds = BuildLog(watching: backend)
    trainer.onNotice = { printError("warning: \(printable($0.line))") }
    trainer.patience.refuge = FileManager.default.temporaryDirectory.path
    func report(_ event: TrainingEvent) {
      builds.endWatching(backend)
      progress.report(event)
      board?.record(event)
    }
    do {
      defer { Display.shared.finish() }
      let ending = try session.run(
        shouldStop: { Signals.pending != nil }, shouldSave: Signals.takeSaveRequest, report: report)
      return (ending, profiled)
    } catch let failure as Failure where failure.kind == .diverged {
      throw failure.naming(trainer.faultFile)  // A resumed run would diverge again.
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
    let leftOut = trainer.leftOutSteps
    if leftOut > 0 {
      print("\(grouped(leftOut)) of \(grouped(trainer.step)) steps were left out, as a number in them was not finite")
    }
    if case let skipped = try trainer.skippedSteps(), skipped > 0 {
      print(
        "\(grouped(skipped)) of \(grouped(trainer.step)) steps were left out, whose gradients overflowed in "
          + "\(trainer.configuration.precision) while the loss scale was too large for them")
    }
  }

  private func goOn(_ folder: RunFolder) -> String { "resnet train --resume \(shellQuoted(folder.path))" }

  /// Returns the run's options and data, and the weights that it starts from.
  private func prepare() throws -> TrainingSetup.Prepared {
    if let resume {
      var prepared = try TrainingSetup.resuming(
        RunFolder(existing: resume), path: options.data.data,
        resumption: Resumption(epochs: options.training.epochs, takesChangedSettings: files.allowConfigChange),
        progress: Display.reading)
      prepared.takesOtherImages = files.allowDataChange
      files.apply(to: &prepared.configuration)
      options.training.stopping.applyToResumed(&prepared.configuration)
      return prepared
    }
    let (opened, kind) = try options.setup()
    var setup = opened
    setup.model = options.network.model
    let build = options.network.build
    setup.build = { build.configuration($0, classes: $1, channels: $2, like: $3) }
    setup.initialWeights = options.start.`init`.map(RunFolder.weights)
    setup.initialPlace = options.start.place.place
    var prepared = try setup.prepare()
    for notice in prepared.notices { printError(notice.line) }
    options.apply(to: &prepared.configuration, kind)
    execution.apply(to: &prepared.configuration)
    files.apply(to: &prepared.configuration)
    prepared.configuration.classWeights = try options.training.balance.weights(of: prepared.splits.train.classes)
    prepared.takesLargestBatch = options.training.batchSize == .largest
    prepared.searchesRate = files.findRate != nil
    try usage {
      try prepared.configuration.validate()
      try prepared.configuration.checkLayers()
    }
    return prepared
  }
}

extension Failure {
  /// Names the file of the step that ended a run, and the command that tells more about it.
  fileprivate func naming(_ file: String?) -> Failure {
    guard let file else { return self }
    let advice: Message = "\(remedy ?? "")\(remedy == nil ? "" : "; ")`resnet replay \(shellQuoted(file))` tells who is to blame"
    return Failure(kind, about: subject, problem, remedy: advice, step: step)
  }
}

extension RunFolder {
  /// Does the work of a session, and keeps in the folder when and where it was done, and how long it took.
  /// - Parameter drivers: versions of the devices' drivers.
  /// - Throws: what the work throws; ``Failure`` if the record cannot be read or written.
  func recordingSession<Result>(
    on device: String, _ drivers: [String], _ work: () throws -> Result
  ) throws -> Result {
    var sessions = try sessions()
    var session = RunSession(
      version: ResNetCommand.version, command: CommandLine.arguments, device: device,
      driver: drivers.isEmpty ? nil : drivers.joined(separator: ", "))
    let start = ContinuousClock.now
    try write(sessions + [session])
    func finish() throws {
      session.elapsedSeconds = (ContinuousClock.now - start).seconds
      sessions.append(session)
      try write(sessions)
    }
    let result: Result
    do { result = try work() } catch {
      // A run that saved nothing has removed its files.
      do { if InputFile.exists(configurationPath) { try finish() } } catch let second {
        printError("Error: \((second as? Failure)?.line ?? "\(second)")")
      }
      throw error
    }
    try finish()
    return result
  }
}
