import Checkpoints
import Compute
import Datasets
import Formats
import Images
import Models
import NN
import Support

/// Trains a network on a data set that is on the device or streams to it, and writes the files of its run folder.
///
/// A step never waits for the device: losses are read back as they arrive, at most four steps later.
public final class Trainer {
  /// Outcome of a call of ``run(shouldStop:shouldSave:report:)``.
  public enum Ending: Hashable, Sendable {
    case finished
    /// The caller asked to stop; the run can be resumed.
    case stopped
  }

  /// Options of the run.
  public let configuration: RunConfiguration
  /// Network that is trained, on the device.
  public let model: ResNet
  /// Folder of the run's files; nil if the run keeps none.
  public let folder: RunFolder?
  /// Notes for the user about the start of the run.
  public private(set) var notes: [String] = []
  /// Number of images that each epoch is validated on.
  public var validationCount: Int { validation.count }
  /// Number of steps of an epoch, at least 1. A step takes as many whole batches as accumulate, or the one short batch of the
  /// epoch.
  public let stepsPerEpoch: Int
  /// Number of steps of the whole run.
  public let totalSteps: Int
  /// Number of steps done.
  public var step: Int { position.step }
  /// Whether all epochs are trained and validated, or the run ended before, so that ``run(shouldStop:shouldSave:report:)`` has
  /// nothing to do.
  public var isFinished: Bool { position.epoch * stepsPerEpoch >= totalSteps || ranOutOfPatience }
  /// Whether the run ended because the watched figure of the validation did not improve for as many epochs as
  /// ``RunConfiguration/patience`` says. False if it was the last epoch anyway.
  public var endedEarly: Bool { ranOutOfPatience && position.epoch * stepsPerEpoch < totalSteps }
  private var ranOutOfPatience: Bool { configuration.patience.map { (position.staleEpochs ?? 0) >= $0 } ?? false }
  /// Number of epochs that are trained and validated.
  public var epochsDone: Int { position.epoch }
  /// Number of batches skipped since this trainer was made, because so many of their images could not be decoded that those left
  /// have no statistics, as ``ResNet/canTrain(on:)`` defines.
  public private(set) var passedOver = 0
  /// Timing of the steps so far.
  public private(set) var timing = StepTiming()
  /// Called in each epoch with true when the steps that ``timing`` counts begin, and with false when they have ended on the
  /// device.
  public var onTiming: ((_ begin: Bool) throws -> Void)?
  /// Whether the first step is over, the only step that the host waits for.
  private var isWarm = false

  /// Called with what the user should know while the run goes on, for example that a state could not be saved.
  public var onNotice: ((Message) -> Void)? { didSet { saver?.onNotice = onNotice } }
  /// File of the step that ended the run as a number was not finite; nil if there is none. See ``FaultRecord``.
  public internal(set) var faultFile: String?

  let backend: any Backend
  let training, validation: BatchLoader
  package let optimizer: Optimizer
  private let average: WeightAverage?
  let lookahead: Lookahead?
  let depth: StochasticDepth?
  private let expected: ExpectedNetwork?
  let state: RunFolder.State
  /// Weights of the classes in the loss, [K]; nil for none.
  let classWeights: Tensor?
  /// Values derived from frozen layers, reused by later batches.
  private let folded = FoldedParameters()
  let schedule: Schedule
  private let growth: ImageGrowth?
  /// Metadata of the checkpoints.
  package let description: Weights.Description
  private let lock: Folder.Lock?
  let log: MetricsLog?
  let layersLog: LayersLog?
  /// Saves the states of the run; nil if it keeps no files.
  let saver: StateSaver?
  /// Whether a step is enqueued in part, so that the tensors on the device are those of no step.
  private(set) var isWithinStep = false
  /// Weights of the best epoch, if there is no folder to keep them in.
  var best: Weights?
  /// Position in the run. Only this type and a search for a rate move it.
  var position: RunFolder.Position
  /// Sums of the steps in flight, [3] each, used in turns.
  private let metrics: [Tensor]
  /// Number of steps between two records of the loss.
  var logEvery: Int { (configuration.files ?? RunFileSettings()).logEvery }
  let batchesPerStep: Int

  /// Returns the network that is validated and saved, with the present weights.
  /// - Throws: errors of the backend.
  func saved() throws -> ResNet {
    let trained = average?.model ?? model
    guard let expected else { return trained }
    try expected.update(from: trained)
    return expected.model
  }

  /// Number of steps that may be enqueued before the first of them is done.
  static let stepsAhead = 4

  /// Loads everything onto the device. The run starts at the beginning, or with `resuming` where it was saved.
  /// - Throws: ``Failure`` if options, weights or images do not fit each other; errors of the backend.
  public convenience init(
    _ configuration: RunConfiguration, _ splits: DatasetSplits, on backend: any Backend, folder: RunFolder?,
    resuming: Bool = false, logEvery: Int? = nil
  ) throws {
    try self.init(
      configuration, ImageSplits(splits), on: backend, folder: folder, resuming: resuming, logEvery: logEvery)
  }

  /// Loads everything onto the device, for images that may be kept elsewhere than in memory.
  /// - Parameters:
  ///   - folder: folder of the run's files; nil to keep none, which excludes `resuming`.
  ///   - takingOtherImages: whether a resumed run goes on with images that have changed since it began.
  ///   - initialWeights: contents of the file of ``RunConfiguration/initialWeights``, if it was read already.
  ///   - logEvery: number of steps between two records of the loss; nil for that of the settings.
  ///   - onDamage: called for each image that cannot be decoded and is left out.
  ///   - onChecked: called with the shape of a batch [N,H,W,C] after options, images and memory have been checked and before
  ///     anything is allocated. An error that it throws ends the initializer.
  public init(
    _ configuration: RunConfiguration, _ splits: ImageSplits, on backend: any Backend, folder: RunFolder?,
    resuming: Bool = false, takingOtherImages: Bool = false, initialWeights: Weights? = nil, logEvery: Int? = nil,
    onDamage: @escaping (Failure) -> Void = { _ in }, onChecked: (Shape) throws -> Void = { _ in }
  ) throws {
    try configuration.validate()
    precondition(folder != nil || !resuming, "[Trainer] a run without a folder cannot be resumed")
    lock = try folder?.lock()
    var configuration = configuration
    let used = splits.limited(by: configuration.data)
    let (train, validated) = (used.train, used.validation)
    let found = resuming ? try folder?.newestState() : nil
    let saved = found?.state
    if let found { notes += folder?.notes(on: found.damaged, insteadOf: found.state) ?? [] }
    try configuration.data.take(
      SplitContents(splits, trainingOn: train), of: saved?.configuration?.data, in: folder, isNew: !resuming,
      takingOthers: takingOtherImages)
    configuration.files = configuration.files ?? RunFileSettings()
    if let logEvery { configuration.files?.logEvery = max(1, logEvery) }
    self.configuration = configuration
    self.backend = backend
    self.folder = folder

    let options = configuration.trainingOptions
    let model = try ResNet(configuration.model)
    self.model = model
    try model.store.freeze(options.frozen)
    if !options.frozen.isEmpty {
      let moving = model.store.entries.filter { $0.kind.isTrained && !$0.isFrozen }.reduce(0) { $0 + $1.shape.count }
      notes.append("frozen: \(options.frozen.joined(separator: ", ")); \(grouped(moving)) of the parameters are trained")
    }
    try Self.check(configuration, train, validated, on: backend)
    try onChecked([min(configuration.batchSize, train.count), train.shape[1], train.shape[2], train.shape[3]])
    try model.store.allocate(on: backend, seed: configuration.seed)
    optimizer = try Optimizer(
      model.store, options.optimizer, scalingLoss: options.precision.needsLossScaling,
      guarding: (configuration.onFault ?? .stop).limit)
    if !resuming, let path = configuration.initialWeights {
      notes += try Self.load(initialWeights ?? Weights(contentsOf: path), from: path, into: model, for: train)
    }
    let weights = configuration.classWeights?.values(for: train, classes: configuration.model.classes)
    if let weights { notes.append(weights.note) }
    classWeights = try weights.map { try backend.upload(HostTensor($0.values.map(Float.init), shape: [$0.values.count])) }
    average = try configuration.averageDecay.map { try WeightAverage(of: model, decay: $0) }
    lookahead = try configuration.lookahead.map { [optimizer] in
      try Lookahead(model.store, every: $0, guardedBy: optimizer.stepGuard)
    }
    depth = try configuration.stochasticDepth.map { try StochasticDepth(model, dropProbability: $0) }
    expected = try depth.map { try ExpectedNetwork(of: model, $0) }
    state = RunFolder.State(store: model.store, optimizer: optimizer, average: average, lookahead: lookahead)
    position = saved?.position ?? RunFolder.Position()
    if let saved, let folder { try saved.load(into: state, of: folder) }
    if let count = position.leftOut {
      try optimizer.stepGuard?.resume(afterLeavingOut: count, inARow: position.faultsInARow ?? 0)
    }
    metrics = try (0...Self.stepsAhead).map { _ in try backend.tensor([3]) }
    training = try BatchLoader(
      train, crop: configuration.randomCrop, augmentation: configuration.augmentation, precision: options.precision,
      on: backend, onDamage: onDamage)
    validation = try BatchLoader(validated, precision: options.precision, on: backend, onDamage: onDamage)
    // Metadata does not mention the usual preparation.
    let evaluation = configuration.data.photographs.flatMap { $0.evaluation == EvaluationRecipe() ? nil : $0.evaluation }
    description = Weights.Description(model: configuration.model, dataset: train, evaluation: evaluation)

    growth = try configuration.growth(of: train.shape)
    let epochSteps = EpochSteps(images: train.count, configuration)
    (stepsPerEpoch, batchesPerStep) = (epochSteps.count, epochSteps.batchesPerStep)
    notes += epochSteps.notes
    let scheduled = stepsPerEpoch * configuration.epochs
    totalSteps = min(scheduled, configuration.maxSteps ?? scheduled)
    schedule = Schedule(
      configuration.schedule, peak: configuration.optimizer.learningRate, totalSteps: scheduled,
      warmupSteps: Int(min(Double(scheduled), configuration.warmupEpochs * Double(stepsPerEpoch)).rounded()))
    try folder?.check(position, stepsPerEpoch: stepsPerEpoch, totalSteps: totalSteps)
    // A resumed run may use other devices, which share batches differently, so its options are written again.
    let start = position
    do {
      if let folder { AtomicFile.removeLeftovers(in: folder.path) }
      try folder?.write(configuration)
      log = try folder.map { try MetricsLog(path: $0.metricsPath, keepingThrough: start, holdsEpochs: true) }
      layersLog = try folder.map { try LayersLog(path: $0.layersPath, keepingThrough: start) }
    } catch {
      folder?.discardIfUnused()
      throw error
    }
    let logs = [log, layersLog?.log].compactMap { $0 }
    notes += logs.flatMap(\.notes)
    if let folder, let lock {
      if !lock.isEffective {
        notes.append(
          "\(folder.path) is on a file system without locks: take care that no other process trains in it")
      }
      saver = StateSaver(
        folder, lock, configuration, logs: logs, saved: saved, damaged: found?.damaged.map(\.file) ?? [])
    } else {
      saver = nil
    }
    if let saved { notes += goOn(after: saved) }
  }

  /// Runs to the end, or until `shouldStop` returns true.
  /// - Parameters:
  ///   - shouldStop: asked before each step.
  ///   - shouldSave: asked before each step whether the state is saved now; the run goes on.
  ///   - report: called with each record, after it was written to the log.
  /// - Throws: ``Failure`` if a file cannot be written, and of the kind ``Failure/Kind/diverged`` if a number is not finite,
  ///   unless ``RunConfiguration/onFault`` says to leave such steps out; errors of the backend. Files that were saved before are kept. A folder in which nothing was saved is removed if
  ///   the run made it.
  public func run(
    shouldStop: () -> Bool = { false }, shouldSave: () -> Bool = { false }, report: (TrainingEvent) -> Void = { _ in }
  ) throws -> Ending {
    do {
      if !isFinished { try saveFirst() }
      return try runEpochs(shouldStop, shouldSave, report)
    } catch {
      saver?.abandon()
      folder?.discardIfUnused()
      throw error
    }
  }

  private func runEpochs(
    _ shouldStop: () -> Bool, _ shouldSave: () -> Bool, _ report: (TrainingEvent) -> Void
  ) throws -> Ending {
    while !isFinished {
      if try !runEpoch(shouldStop, shouldSave, report) {
        try saver?.saveAtEnd(savedPosition, state, [lastFile()])
        return .stopped
      }
    }
    try saver?.saveAtEnd(savedPosition, state)
    return .finished
  }

  /// Runs one epoch, or the rest of it, with validation and checkpoints at its end.
  /// - Returns: false if the epoch was stopped.
  private func runEpoch(
    _ shouldStop: () -> Bool, _ shouldSave: () -> Bool, _ report: (TrainingEvent) -> Void
  ) throws -> Bool {
    let loaded = try loadEpoch()
    let leftOut = position.leftOut
    let last = lastStep
    var collector = StepCollector(logEvery: logEvery, epoch: position.epoch + 1, position.recent)
    let waiting: Double
    do { waiting = try runSteps(loaded, &collector, through: last, shouldStop, shouldSave, report) } catch {
      rescue(&collector, after: error)
      throw error
    }
    position.recent = position.step == last ? nil : collector.recent
    guard position.step == last else { return false }
    if position.images == 0 { throw position.leftOut != leftOut ? fault(in: position.step) : noImages }
    let evaluation: Evaluation?
    do {
      try endSteps()
      evaluation = try validate(shouldStop, report)
    } catch {
      rescue(&collector, after: error)
      throw error
    }
    guard let evaluation else { return false }
    try finishEpoch(evaluation, collector, waiting: waiting, report)
    return true
  }

  /// Runs the steps of an epoch.
  /// - Returns: the share of the time in which training waited for images.
  private func runSteps(
    _ loaded: LoadedEpoch, _ collector: inout StepCollector, through last: Int, _ shouldStop: () -> Bool,
    _ shouldSave: () -> Bool, _ report: (TrainingEvent) -> Void
  ) throws -> Double {
    var (start, waited) = (ContinuousClock.now, 0.0)
    if isWarm { try onTiming?(true) }
    while position.step < last && !shouldStop() {
      if shouldSave() { try saveNow(&collector, report) }
      let begin = ContinuousClock.now
      try enqueueStep(loaded, &collector, rate: schedule.rate(at: position.step))
      if isWarm {
        timing.steps += 1
        timing.host += (ContinuousClock.now - begin).seconds
      }
      if position.step < last { try saveIfDue() }
      try collect(&collector, leaving: isWarm ? Self.stepsAhead : 0, report)
      try goOnSaving(collector)
      if !isWarm {
        isWarm = true
        collector.restartClock()
        (start, waited) = (ContinuousClock.now, loaded.waited)
        try onTiming?(true)
      }
    }
    try collect(&collector, leaving: 0, report)
    try goOnSaving(collector)
    guard isWarm else { return 0 }
    let (wall, waitedSince) = ((ContinuousClock.now - start).seconds, loaded.waited - waited)
    timing.wall += wall
    timing.waited += waitedSince
    try onTiming?(false)
    return min(1, waitedSince / wall)
  }

  /// Failure of an epoch without images.
  var noImages: Failure {
    Failure(.damagedFile, "none of the \(training.count) images to train on can be decoded", remedy: "mend them")
  }

  /// Loads the current epoch from a step on.
  /// - Parameter step: number of steps before it; nil for the current step.
  func loadEpoch(from step: Int? = nil) throws -> LoadedEpoch {
    let plan = configuration.plan(ofEpoch: position.epoch, training.items)
    // Blocks cut for smaller images do not suit the larger ones, for which the memory was predicted.
    if let growth, position.epoch > 0, growth.size(ofEpoch: position.epoch) != growth.size(ofEpoch: position.epoch - 1) {
      backend.releaseFreeMemory()
    }
    return try training.load(
      plan, batches: plan.batches(of: configuration.batchSize, keepShort: false),
      from: ((step ?? position.step) - position.epoch * stepsPerEpoch) * batchesPerStep,
      size: growth?.size(ofEpoch: position.epoch))
  }

  /// Starts the next step on the device.
  func enqueueStep(_ loaded: LoadedEpoch, _ collector: inout StepCollector, rate: Double) throws {
    let first = (position.step - position.epoch * stepsPerEpoch) * batchesPerStep
    let metrics = metrics[position.step % metrics.count]
    var images = 0
    try backend.fill(metrics, with: 0)
    for index in first..<min(first + batchesPerStep, loaded.batches.count) {
      // The batch is nil if none of its images can be decoded.
      guard let (x, labels) = try loaded.batch(index) else { continue }
      guard model.canTrain(on: x.shape) else {
        passedOver += 1
        continue
      }
      images += x.shape[0]
      isWithinStep = true
      let skipped = depth?.skipped(seed: configuration.seed, epoch: position.epoch, batch: index) ?? []
      try model.accumulateGradients(
        images: x, labels: labels, smoothing: configuration.labelSmoothing, classWeights: classWeights,
        recompute: configuration.recompute, skipping: skipped, metrics: metrics, optimizer, folded: folded)
    }
    position.step += 1
    if images == 0 { return }
    try optimizer.step(learningRate: rate)
    try lookahead?.follow(step: optimizer.steps)
    try average?.update(from: model, step: optimizer.steps)
    isWithinStep = false
    collector.expect(try backend.readLater(metrics), step: position.step, images: images, rate: rate)
  }

  /// Takes the losses that have arrived, and waits only while more than `leaving` steps are in flight.
  func collect(_ collector: inout StepCollector, leaving: Int, _ report: (TrainingEvent) -> Void) throws {
    while let done = try collector.next(leaving: leaving) {
      // The state that is on its way may end with the steps before this one.
      if let step = saver?.awaitedStep, done.step > step { settleSums(collector) }
      guard done.lossSum.isFinite else {
        try leaveOut(step: done.step)
        continue
      }
      position.faultsInARow = nil
      position.lossSum += done.lossSum
      position.hits += done.hits
      position.images += done.images
      let images = Double(done.images)
      report(
        .progress(
          .step(
            epoch: position.epoch + 1, step: done.step, images: done.images, loss: done.lossSum / images,
            accuracy: done.hits / images)))
      if let record = collector.add(done) {
        log?.write(.step(record))
        report(.step(record))
      }
    }
  }
}
