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
  /// Outcome of a call of ``run(shouldStop:report:)``.
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
  /// Whether all epochs are trained and validated, or the run ended before, so that ``run(shouldStop:report:)`` has nothing to
  /// do.
  public var isFinished: Bool { position.epoch * stepsPerEpoch >= totalSteps || ranOutOfPatience }
  /// Whether the run ended because the watched figure of the validation did not improve for as many epochs as
  /// ``RunConfiguration/patience`` says. False if it was the last epoch anyway.
  public var endedEarly: Bool { ranOutOfPatience && position.epoch * stepsPerEpoch < totalSteps }
  private var ranOutOfPatience: Bool { configuration.patience.map { (position.staleEpochs ?? 0) >= $0 } ?? false }
  /// Number of epochs that are trained and validated.
  public var epochsDone: Int { position.epoch }
  /// Returns the number of steps since the run began that were skipped as their gradients overflowed; 0 if the loss is not
  /// scaled.
  /// - Throws: errors of the backend.
  public func skippedSteps() throws -> Int {
    try optimizer.lossScale.map { Int(try backend.download($0).floats[LossScale.skipped]) } ?? 0
  }
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

  private let backend: any Backend
  private let training, validation: BatchLoader
  package let optimizer: Optimizer
  private let average: WeightAverage?
  private let lookahead: Lookahead?
  private let depth: StochasticDepth?
  private let expected: ExpectedNetwork?
  private let state: RunFolder.State
  /// Weights of the classes in the loss, [K]; nil for none.
  private let classWeights: Tensor?
  /// Values derived from frozen layers, reused by later batches.
  private let folded = FoldedParameters()
  private let schedule: Schedule
  private let growth: ImageGrowth?
  /// Metadata of the checkpoints.
  package let description: Weights.Description
  private let lock: Folder.Lock?
  private let log: MetricsLog?
  private let layersLog: LayersLog?
  /// Weights of the best epoch, if there is no folder to keep them in.
  var best: Weights?
  /// Position in the run. Only this type and a search for a rate move it.
  var position: RunFolder.Position
  /// Sums of the steps in flight, [3] each, used in turns.
  private let metrics: [Tensor]
  let logEvery: Int
  private let batchesPerStep: Int

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
    resuming: Bool = false, logEvery: Int = 10
  ) throws {
    try self.init(
      configuration, ImageSplits(splits), on: backend, folder: folder, resuming: resuming, logEvery: logEvery)
  }

  /// Loads everything onto the device, for images that may be kept elsewhere than in memory.
  /// - Parameters:
  ///   - folder: folder of the run's files; nil to keep none, which excludes `resuming`.
  ///   - initialWeights: contents of the file of ``RunConfiguration/initialWeights``, if it was read already.
  ///   - onDamage: called for each image that cannot be decoded and is left out.
  ///   - onChecked: called with the shape of a batch [N,H,W,C] after options, images and memory have been checked and before
  ///     anything is allocated. An error that it throws ends the initializer.
  public init(
    _ configuration: RunConfiguration, _ splits: ImageSplits, on backend: any Backend, folder: RunFolder?,
    resuming: Bool = false, initialWeights: Weights? = nil, logEvery: Int = 10, onDamage: @escaping (Failure) -> Void = { _ in },
    onChecked: (Shape) throws -> Void = { _ in }
  ) throws {
    try configuration.validate()
    precondition(folder != nil || !resuming, "[Trainer] a run without a folder cannot be resumed")
    lock = try folder?.lock()
    var configuration = configuration
    let used = splits.limited(by: configuration.data)
    let (train, validated) = (used.train, used.validation)
    let contents = SplitContents(splits, trainingOn: train)
    if resuming, let known = configuration.data.contents {
      try contents?.require(known, in: configuration.data.path ?? folder?.path ?? "")
    }
    if !resuming { configuration.data.contents = contents }
    self.configuration = configuration
    self.backend = backend
    self.folder = folder
    self.logEvery = max(1, logEvery)

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
    optimizer = try Optimizer(model.store, options.optimizer, scalingLoss: options.precision.needsLossScaling)
    if !resuming, let path = configuration.initialWeights {
      notes += try Self.load(initialWeights ?? Weights(contentsOf: path), from: path, into: model, for: train)
    }
    let weights = configuration.classWeights?.values(for: train, classes: configuration.model.classes)
    if let weights { notes.append(weights.note) }
    classWeights = try weights.map { try backend.upload(HostTensor($0.values.map(Float.init), shape: [$0.values.count])) }
    average = try configuration.averageDecay.map { try WeightAverage(of: model, decay: $0) }
    lookahead = try configuration.lookahead.map { try Lookahead(model.store, every: $0) }
    depth = try configuration.stochasticDepth.map { try StochasticDepth(model, dropProbability: $0) }
    expected = try depth.map { try ExpectedNetwork(of: model, $0) }
    state = RunFolder.State(store: model.store, optimizer: optimizer, average: average, lookahead: lookahead)
    position = resuming ? try folder?.load(into: state) ?? RunFolder.Position() : RunFolder.Position()
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
      try folder?.write(configuration)
      log = try folder.map { try MetricsLog(path: $0.metricsPath, keepingThrough: start) }
      layersLog = try folder.map { try LayersLog(path: $0.layersPath, keepingThrough: start) }
    } catch {
      folder?.discardIfUnused()
      throw error
    }
  }

  /// Checks that model, data and device fit each other, including the memory for training.
  /// - Throws: ``Failure`` if they do not.
  private static func check(
    _ configuration: RunConfiguration, _ train: any ImageSource, _ validation: any ImageSource, on backend: any Backend
  ) throws {
    try configuration.check(train)
    try train.requirePixels(for: configuration.augmentation)
    let shape = train.shape
    let batch = min(configuration.batchSize, train.count)
    try Summary(
      configuration.model, images: [batch, shape[1], shape[2], shape[3]], configuration.trainingOptions, on: backend
    ).requireMemoryForTraining(
      on: backend,
      otherBytes: configuration.bytesOfImages(train, validation, batchSize: batch, on: backend))
  }

  /// Runs to the end, or until `shouldStop` returns true.
  /// - Parameters:
  ///   - shouldStop: asked before each step.
  ///   - report: called with each record, after it was written to the log.
  /// - Throws: ``Failure`` if a file cannot be written, and of the kind ``Failure/Kind/diverged`` if the loss becomes NaN or
  ///   infinite; errors of the backend. Files that were saved before are kept. A folder in which nothing was saved is removed if
  ///   the run made it.
  public func run(shouldStop: () -> Bool = { false }, report: (TrainingEvent) -> Void = { _ in }) throws -> Ending {
    do { return try runEpochs(shouldStop, report) } catch {
      folder?.discardIfUnused()
      throw error
    }
  }

  private func runEpochs(_ shouldStop: () -> Bool, _ report: (TrainingEvent) -> Void) throws -> Ending {
    while !isFinished {
      if try !runEpoch(shouldStop, report) {
        if let folder {
          try folder.save(position, state)
          try Weights.write(saved().store, description, to: folder.lastPath)
        }
        return .stopped
      }
    }
    return .finished
  }

  /// Runs one epoch, or the rest of it, with validation and checkpoints at its end.
  /// - Returns: false if the epoch was stopped.
  private func runEpoch(_ shouldStop: () -> Bool, _ report: (TrainingEvent) -> Void) throws -> Bool {
    let loaded = try loadEpoch()
    let last = min(totalSteps, (position.epoch + 1) * stepsPerEpoch)
    var collector = StepCollector(logEvery: logEvery, epoch: position.epoch + 1)

    var (start, waited, waiting) = (ContinuousClock.now, 0.0, 0.0)
    if isWarm { try onTiming?(true) }
    while position.step < last && !shouldStop() {
      let begin = ContinuousClock.now
      try enqueueStep(loaded, &collector, rate: schedule.rate(at: position.step))
      if isWarm {
        timing.steps += 1
        timing.host += (ContinuousClock.now - begin).seconds
      }
      try collect(&collector, leaving: isWarm ? Self.stepsAhead : 0, report)
      if !isWarm {
        isWarm = true
        collector.restartClock()
        (start, waited) = (ContinuousClock.now, loaded.waited)
        try onTiming?(true)
      }
    }
    try collect(&collector, leaving: 0, report)
    if isWarm {
      let (wall, waitedSince) = ((ContinuousClock.now - start).seconds, loaded.waited - waited)
      timing.wall += wall
      timing.waited += waitedSince
      waiting = min(1, waitedSince / wall)
      try onTiming?(false)
    }
    if position.step == last && position.images == 0 {
      throw noImages
    }
    // The weights that are validated and saved are the slow ones.
    if position.step == last { try lookahead?.move() }
    if position.step == last { try layersLog?.record(optimizer, model.store, epoch: position.epoch + 1, step: last) }
    guard position.step == last,
      let evaluation = try ResNetClassifier(saved()).evaluate(
        validation, batchSize: min(configuration.batchSize, training.count), worst: ValidationRecord.mistakes,
        requiresFinite: false,
        progress: { done in
          report(.progress(.validation(epoch: position.epoch + 1, done: done, total: validation.count)))
          return !shouldStop()
        })
    else { return false }
    try finishEpoch(evaluation, collector, waiting: waiting, report)
    return true
  }

  /// Failure of an epoch without images.
  var noImages: Failure {
    Failure(.damagedFile, "none of the \(training.count) images to train on can be decoded", remedy: "mend them")
  }

  /// Loads the current epoch from the current step on.
  func loadEpoch() throws -> LoadedEpoch {
    let plan = configuration.plan(ofEpoch: position.epoch, training.items)
    // Blocks cut for smaller images do not suit the larger ones, for which the memory was predicted.
    if let growth, position.epoch > 0, growth.size(ofEpoch: position.epoch) != growth.size(ofEpoch: position.epoch - 1) {
      backend.releaseFreeMemory()
    }
    return try training.load(
      plan, batches: plan.batches(of: configuration.batchSize, keepShort: false),
      from: (position.step - position.epoch * stepsPerEpoch) * batchesPerStep, size: growth?.size(ofEpoch: position.epoch))
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
    collector.expect(try backend.readLater(metrics), step: position.step, images: images, rate: rate)
  }

  private func finishEpoch(
    _ evaluation: Evaluation, _ collector: StepCollector, waiting: Double, _ report: (TrainingEvent) -> Void
  ) throws {
    let checked = evaluation.metrics
    guard checked.loss.isFinite else {
      throw Failure.divergence(of: "validation loss", step: position.step, schedule, folder)
    }
    position.epoch += 1
    let record = EpochRecord(
      epoch: position.epoch, step: position.step, loss: position.lossSum / Double(max(1, position.images)),
      accuracy: position.hits / Double(max(1, position.images)), learningRate: schedule.rate(at: position.step - 1),
      imagesPerSecond: collector.imagesPerSecond, waiting: waiting, validationLoss: checked.loss, validationAccuracy: checked.top1
    )
    (position.lossSum, position.hits, position.images) = (0, 0, 0)
    let saved = try saved()
    // The training state is written last. If a write fails on the way, the resumed run writes the earlier files again.
    try log?.write(.epoch(record))
    let (watch, before) = (configuration.watch ?? .accuracy, bestFigures.map { ($0.accuracy, $0.loss) })
    let improves = watch.improves(record, on: before)
    if configuration.patience != nil { position.staleEpochs = improves ? 0 : (position.staleEpochs ?? 0) + 1 }
    if watch.prefers(record, to: before) {
      (position.bestAccuracy, position.bestLoss) = (record.validationAccuracy, record.validationLoss)
      position.bestEpoch = record.epoch
      if let folder { try Weights.write(saved.store, description, to: folder.bestPath) } else { best = try lastWeights() }
      try folder?.write(ValidationRecord(epoch: record.epoch, evaluation, of: validation.images.source))
    }
    if let folder {
      try Weights.write(saved.store, description, to: folder.lastPath)
      try folder.save(position, state)
    }
    report(.epoch(record))
  }

  /// Takes the losses that have arrived, and waits only while more than `leaving` steps are in flight.
  private func collect(_ collector: inout StepCollector, leaving: Int, _ report: (TrainingEvent) -> Void) throws {
    while let done = try collector.next(leaving: leaving) {
      guard done.lossSum.isFinite else {
        throw Failure.divergence(of: "loss", step: done.step, schedule, folder)
      }
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
        try log?.write(.step(record))
        report(.step(record))
      }
    }
  }
}
