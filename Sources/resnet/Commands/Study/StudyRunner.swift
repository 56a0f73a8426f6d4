import ArgumentParser
import Compute
import Datasets
import Foundation
import ResNetKit
import Support
import Training

/// Trains the networks of a study, as far as that is not done, and reports what was seen.
struct StudyRunner {
  private let kind: StudyPlan.Kind
  private let networks: [StudyPlan.Network]
  private let options: StudyOptions

  /// - Parameter networks: networks whose numbers of classes and channels are still those of no data set.
  init(_ kind: StudyPlan.Kind, _ networks: [StudyPlan.Network], _ options: StudyOptions) {
    (self.kind, self.networks, self.options) = (kind, networks, options)
  }

  func run() throws {
    Signals.catchAll()
    StandardStreams.neverWait()
    options.verbosity.begin(.output)
    // Standard output holds the object alone.
    if options.files.json { Display.shared.isQuiet = true }
    Display.shared.begin(.reading)
    let (prepared, plan) = try prepare()
    var folder = try StudyFolder(options.files.output ?? "studies/\(kind.rawValue)", for: plan)
    if folder.isResumed {
      let done = plan.runs.count { folder.outcome(of: $0) != nil }
      printNote("going on with the study in \(folder.path): \(done) of \(plan.runs.count) runs are done")
    } else {
      let epochs = try options.budget.minutes.map { try StudyBudget(options, prepared, plan).epochs(in: $0) }
      var recipe = plan.recipe
      recipe.epochs = epochs ?? recipe.epochs
      try folder.begin(
        epochs: recipe.epochs, warmup: options.training.warmupEpochs ?? (epochs == nil ? recipe.warmupEpochs : recipe.usualWarmup)
      )
    }
    for (number, run) in folder.plan.runs.enumerated() where folder.outcome(of: run) == nil {
      printNote("\nrun \(number + 1) of \(folder.plan.runs.count): \(run.network.name), seed \(run.seed)")
      try train(run, prepared, &folder)
      _ = try StudyReport(folder).write()
    }
    Display.shared.finish()
    try report(folder)
  }

  /// Opens the images and makes the plan of the study.
  private func prepare() throws -> (TrainingSetup.Prepared, StudyPlan) {
    let (opened, kind) = try options.setup()
    var setup = opened
    setup.model = networks[0].model.name
    var prepared = try setup.prepare()
    let splits = prepared.splits
    reportIgnored(splits.train, splits.validation)
    try options.apply(to: &prepared.configuration, kind, classes: splits.train.classes)
    prepared.configuration.data.contents = SplitContents(
      splits, trainingOn: splits.limited(by: prepared.configuration.data).train)
    let (classes, channels) = (splits.train.classes.count, splits.train.shape[3])
    let fitted = networks.map { network in
      var model = network.model
      (model.classes, model.channels) = (classes, channels)
      return StudyPlan.Network(network.name, model, recompute: network.recompute)
    }
    let plan = StudyPlan(
      self.kind, fitted, seeds: options.seeds, recipe: prepared.configuration, minutes: options.budget.minutes)
    for run in plan.runs {
      prepared.configuration = plan.configuration(of: run)
      try prepared.check()
    }
    return (prepared, plan)
  }

  /// Trains one run to its end, or goes on with it.
  /// - Throws: an exit code after a signal; what the trainer throws unless the run diverged.
  private func train(_ run: StudyPlan.Run, _ prepared: TrainingSetup.Prepared, _ folder: inout StudyFolder) throws {
    let existing = folder.folder(of: run)
    var prepared = prepared
    prepared.configuration = folder.plan.configuration(of: run)
    let isResumed = existing.holdsState
    if isResumed {
      let planned = prepared.configuration
      prepared = try TrainingSetup.resuming(existing, path: nil, images: prepared.splits, resumption: Resumption())
      guard prepared.configuration.isPlanned(planned) else {
        throw Failure(
          .invalidSetting, about: existing.path, "a run with other settings than those of the study is there",
          remedy: "move it away, or choose another \(Setting.output) for the study")
      }
    }
    Display.shared.begin(.preparing)
    let leftOut = LeftOutImages()
    let session = try TrainingSession(
      prepared, device: options.device.place(options.tuning.mode),
      folder: isResumed ? existing : try RunFolder(creating: existing.path), isResumed: isResumed, onDamage: leftOut.add)
    // The notes of the other runs are the same.
    if run == folder.plan.runs[0] { for note in session.notes { printNote(printable(note.line)) } }
    let outcome = try train(session)
    leftOut.finish()
    if case .diverged(let step) = outcome {
      printNote("\(run.network.name) diverged in step \(grouped(step)), which is a result")
    }
    if kind == .gradients {
      try session.requireFolder().probe(session.configuration, session.images, on: session.backend)
    }
    try folder.record(outcome, of: run)
  }

  private func train(_ session: TrainingSession) throws -> StudyFolder.Outcome {
    let (trainer, backend) = (session.trainer, session.backend)
    guard !trainer.isFinished else { return trainer.outcome }
    let drivers = options.device.isReference ? [] : try options.device.place().openCLDevices().map { try $0.driverVersion }
    let progress = TrainingReport(trainer, session.images)
    let builds = BuildLog(watching: backend)
    trainer.onNotice = { printError("warning: \(printable($0.line))") }
    trainer.patience.refuge = FileManager.default.temporaryDirectory.path
    defer { Display.shared.finish() }
    do {
      let ending = try session.requireFolder().recordingSession(on: backend.name, drivers) {
        try session.run(shouldStop: { Signals.pending != nil }, shouldSave: Signals.takeSaveRequest) { event in
          builds.endWatching(backend)
          progress.report(event)
        }
      }
      guard ending == .finished else {
        Display.shared.finish()
        printError("stopped; the same command goes on with the study")
        throw Signals.exitCode
      }
      return trainer.outcome
    } catch let failure as Failure where failure.kind == .diverged { return .diverged(step: failure.step ?? trainer.step) }
  }

  private func report(_ folder: StudyFolder) throws {
    let report = try StudyReport(folder)
    let (files, notes) = try report.write()
    if options.files.json {
      printJSON(report.json(files: files))
    } else {
      print("\n\(report.text)\n\n" + files.map(printable).joined(separator: "\n"))
    }
    for note in notes { printError(note) }
  }
}

extension Trainer {
  /// Outcome of a run that is finished. Without a finite validation loss in any epoch it has diverged.
  fileprivate var outcome: StudyFolder.Outcome { bestFigures == nil ? .diverged(step: step) : .finished }
}

extension RunConfiguration {
  /// Whether a run has the planned settings. What it knows of its images and devices is none.
  fileprivate func isPlanned(_ plan: RunConfiguration) -> Bool {
    var plan = plan
    (plan.data.contents, plan.shares, plan.files) = (data.contents, shares, files)
    return self == plan
  }
}

/// Number of epochs that a study has time for.
struct StudyBudget {
  private let options: StudyOptions
  private let prepared: TrainingSetup.Prepared
  private let plan: StudyPlan

  init(_ options: StudyOptions, _ prepared: TrainingSetup.Prepared, _ plan: StudyPlan) {
    (self.options, self.prepared, self.plan) = (options, prepared, plan)
  }

  /// Number of steps that are timed, after the first one, in which kernels are built.
  private static let steps = 8

  /// Measures each network, says so, and returns the number of epochs for all of them.
  /// - Throws: ``Failure`` if the time does not suffice for an epoch of each.
  func epochs(in minutes: Double) throws -> Int {
    var seconds = 0.0
    for network in plan.networks {
      let epoch = try secondsPerEpoch(of: network)
      printNote("\(network.name): an epoch takes about \(clock(epoch))")
      seconds += epoch * Double(plan.seeds.count)
    }
    Display.shared.finish()
    // A network that diverges at once has no time of its own.
    let epochs = Int(min(minutes * 60 / max(seconds, 1e-3), Double(RunConfiguration.mostEpochs)))
    let runs = plan.runs.count
    guard epochs > 0 else {
      throw Failure(
        .invalidSetting,
        "an epoch of all \(runs) runs takes about \(fixed(seconds / 60, 1)) minutes, so \(short(minutes)) are too few",
        remedy: "give more, or fewer images with \(Setting.limitTrain)")
    }
    printNote(
      "\(grouped(epochs)) epochs of each of the \(runs) runs fit into \(short(minutes)) minutes, and take about "
        + clock(seconds * Double(epochs)))
    return epochs
  }

  private func secondsPerEpoch(of network: StudyPlan.Network) throws -> Double {
    var prepared = prepared
    prepared.configuration = plan.configuration(of: StudyPlan.Run(network, seed: plan.seeds[0]))
    // Images that grow are measured at their largest size.
    prepared.configuration.resizeFrom = nil
    let session = try TrainingSession(prepared, device: options.device.place(options.tuning.mode), folder: nil)
    let trainer = session.trainer
    Display.shared.begin(.measuring)
    do { _ = try trainer.run(shouldStop: { trainer.step > Self.steps || Signals.pending != nil }) } catch let failure as Failure
      where failure.kind == .diverged
    {}
    if Signals.pending != nil { throw Signals.exitCode }
    let timing = trainer.timing
    let step = timing.wall / Double(max(1, timing.steps))
    // Validation is a forward pass, about a third of the work of a step for each image.
    let images = Double(min(session.configuration.batchSize, session.images.count) * session.configuration.accumulate)
    return step * (Double(trainer.stepsPerEpoch) + Double(trainer.validationCount) / images / 3)
  }
}
