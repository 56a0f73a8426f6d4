import Checkpoints
import Models
import Support

/// Saving of the state and of the files of a run.
extension Trainer {
  /// Patience with a disk that refuses the files of the run.
  public var patience: SavePatience {
    get { saver?.patience ?? SavePatience() }
    set { saver?.patience = newValue }
  }

  /// Step of the newest state that is safe; nil before there is one.
  public var savedStep: Int? { saver?.saved?.step }

  /// The position as a state holds it.
  var savedPosition: RunFolder.Position {
    var position = position
    position.updates = optimizer.steps
    return position
  }

  /// Saves a state before the first step, so that the run can always be resumed.
  /// - Throws: ``Failure`` if a new run cannot be saved.
  func saveFirst() throws {
    guard let saver, !saver.isSafe(savedPosition) else { return }
    if position.step == 0 {
      try saver.saveAtEnd(savedPosition, state, pausing: false)
    } else {
      try saver.save(savedPosition, state)
    }
  }

  /// Starts to save a state if one is due.
  func saveIfDue() throws {
    guard let saver, saver.isDue(after: position.step) else { return }
    try saver.begin(savedPosition, state)
  }

  /// Saves the state between two steps, and the weights, as the user asked for. Reports it if both are written.
  /// - Throws: ``Failure`` if the run cannot go on; errors of the backend.
  func saveNow(_ collector: inout StepCollector, _ report: (TrainingEvent) -> Void) throws {
    guard let saver else { return }
    try collect(&collector, leaving: 0, report)
    position.recent = collector.recent
    try goOnSaving(collector)
    if try saver.save(savedPosition, state, [lastFile()], isAsked: true) { report(.progress(.saved(step: position.step))) }
  }

  /// Goes on with the state that is on its way. It never waits.
  func goOnSaving(_ collector: StepCollector) throws {
    if let step = saver?.awaitedStep, collector.hasCollected(through: step) { settleSums(collector) }
    try saver?.advance()
  }

  /// Tells the saver the sums of the steps up to the state that is on its way. No loss of a later step is among them yet.
  func settleSums(_ collector: StepCollector) {
    var sums = position
    sums.recent = collector.recent
    saver?.settle(sums)
  }

  /// Last step of the present epoch.
  var lastStep: Int { min(totalSteps, (position.epoch + 1) * stepsPerEpoch) }

  /// Does what follows the last step of an epoch, before its state is saved. A second call changes nothing.
  /// - Throws: errors of the backend.
  func endSteps() throws {
    // The weights that are validated and saved are the slow ones.
    try lookahead?.move()
    try layersLog?.record(optimizer, model.store, epoch: position.epoch + 1, step: position.step)
  }

  /// Saves what is in memory after an error, if that is the state after a whole step and no loss of it is missing.
  func rescue(_ collector: inout StepCollector, after error: any Error) {
    guard let saver, !isWithinStep, !saver.hasGivenUp, position.step > 0, (error as? Failure)?.kind != .diverged else { return }
    do {
      try collect(&collector, leaving: 0) { _ in }
      let isEnd = position.step == lastStep
      position.recent = isEnd ? nil : collector.recent
      if isEnd && position.images > 0 { try endSteps() }
      try goOnSaving(collector)
      try saver.saveAtEnd(savedPosition, state)
    } catch {
      // The first error is the one that counts. What was saved before stays.
      if let failure = error as? Failure { onNotice?("the state is not saved: \(failure)") }
    }
  }

  /// Saves the state of a trained epoch, and validates meanwhile. A run that is stopped in the validation begins it anew.
  /// - Returns: nil if the validation was stopped.
  func validate(_ shouldStop: () -> Bool, _ report: (TrainingEvent) -> Void) throws -> Evaluation? {
    if let saver {
      try saver.finish()
      if !saver.isSafe(savedPosition) { try saver.begin(savedPosition, state, isSettled: true) }
    }
    var failure: (any Error)?
    let evaluation = try ResNetClassifier(saved()).evaluate(
      validation, batchSize: min(configuration.batchSize, training.count), worst: ValidationRecord.mistakes,
      requiresFinite: false,
      progress: { done in
        report(.progress(.validation(epoch: position.epoch + 1, done: done, total: validation.count)))
        do { try saver?.advance() } catch { failure = error }
        return failure == nil && !shouldStop()
      })
    if let failure { throw failure }
    return evaluation
  }

  /// Adds the figures of an epoch to the log, and writes weights and state.
  func finishEpoch(
    _ evaluation: Evaluation, _ collector: StepCollector, waiting: Double, _ report: (TrainingEvent) -> Void
  ) throws {
    let checked = evaluation.metrics
    if !checked.loss.isFinite { try passOverValidation() }
    position.epoch += 1
    let record = EpochRecord(
      epoch: position.epoch, step: position.step, loss: position.lossSum / Double(max(1, position.images)),
      accuracy: position.hits / Double(max(1, position.images)), learningRate: schedule.rate(at: position.step - 1),
      imagesPerSecond: collector.imagesPerSecond, waiting: waiting, validationLoss: checked.loss, validationAccuracy: checked.top1
    )
    (position.lossSum, position.hits, position.images) = (0, 0, 0)
    // The training state is written last. If a write fails on the way, the resumed run writes the earlier files again.
    log?.write(.epoch(record))
    let (watch, before) = (configuration.watch ?? .accuracy, bestFigures.map { ($0.accuracy, $0.loss) })
    let improves = watch.improves(record, on: before)
    if configuration.patience != nil { position.staleEpochs = improves ? 0 : (position.staleEpochs ?? 0) + 1 }
    var files: [RunFile] = []
    let isBest = watch.prefers(record, to: before)
    if isBest {
      (position.bestAccuracy, position.bestLoss) = (record.validationAccuracy, record.validationLoss)
      position.bestEpoch = record.epoch
    }
    if let folder {
      let last = try lastFile()
      let validated = ValidationRecord(epoch: record.epoch, evaluation, of: validation.images.source)
      if isBest { files += [RunFile(path: folder.bestPath, contents: last.contents), try folder.file(of: validated)] }
      try saver?.save(savedPosition, state, files + [last])
    } else if isBest {
      best = try lastWeights()
    }
    report(.epoch(record))
  }

  /// Tells that the validation loss of the present epoch is not finite, so that the epoch cannot be the best one.
  /// - Throws: ``Failure`` of kind ``Failure/Kind/diverged`` if a weight is not finite; errors of the backend.
  private func passOverValidation() throws {
    for store in [model.store, try saved().store] {
      guard try store.stateDictionary().allSatisfy({ $0.tensor.isFinite }) else {
        throw divergence("the validation loss and some weights are not finite after step \(position.step)", step: position.step)
      }
    }
    onNotice?(
      "the validation loss of epoch \(position.epoch + 1) is not finite, so the epoch cannot be the best one; the weights are "
        + "finite, and training goes on: if this comes again, try a lower \(Setting.learningRate), and check the validation images"
    )
  }

  /// The weights as they are now, for ``RunFolder/lastPath``.
  /// - Throws: errors of the backend.
  /// - Precondition: the run keeps files.
  func lastFile() throws -> RunFile {
    guard let folder else { preconditionFailure("[Trainer] weights of a run without a folder") }
    return RunFile(
      path: folder.lastPath,
      contents: .weights(try saved().store.stateDictionary(), metadata: try description.metadata()))
  }
}
