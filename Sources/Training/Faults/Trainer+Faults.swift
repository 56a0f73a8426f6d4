import Compute
import Models
import NN
import Support

/// Steps in which a number is not finite.
extension Trainer {
  /// Number of steps left out since the run began, as a number in them was not finite.
  public var leftOutSteps: Int { position.leftOut ?? 0 }

  /// Returns the number of steps since the run began that were skipped as their gradients overflowed; 0 if the loss is not
  /// scaled.
  /// - Throws: errors of the backend.
  public func skippedSteps() throws -> Int {
    guard let scale = optimizer.lossScale else { return 0 }
    // The loss scale counts the steps that were left out for other reasons, too.
    return max(0, Int(try backend.download(scale).floats[LossScale.skipped]) - leftOutSteps)
  }

  /// Takes note of a step at fault, which the device has left out.
  /// - Throws: ``Failure`` of the kind ``Failure/Kind/diverged`` if the run is to end.
  func leaveOut(step: Int) throws {
    let row = (position.faultsInARow ?? 0) + 1
    (position.faultsInARow, position.leftOut) = (row, (position.leftOut ?? 0) + 1)
    guard configuration.onFault == .skip, row < FaultPolicy.mostSkipped else { throw fault(in: step) }
    if position.leftOut == 1 {
      onNotice?(
        "step \(step) is left out, as a number in it is not finite; so are others like it, until \(FaultPolicy.mostSkipped) in a row end the run"
      )
    }
  }

  /// Returns the error for a step at fault, after which nothing has changed on the device. Keeps the step in the run's folder.
  func fault(in step: Int) -> Failure {
    var (finding, trouble) = (FaultFinding?.none, "")
    do {
      var record = try faultRecord(of: step)
      finding = try record.firstInput ?? locate(record)
      record.header.finding = finding
      if let folder {
        let path = folder.faultPath(step: step)
        try record.write(to: path)
        faultFile = path
      }
    } catch { trouble = "; the step could not be kept: \((error as? Failure)?.description ?? "\(error)")" }
    let before = (position.faultsInARow ?? 0) - 1
    let row = before > 0 ? ", as in the \(before) step\(before == 1 ? "" : "s") before" : ""
    let problem: Message
    switch finding {
    case nil: problem = "a number in step \(step) was not finite\(row); when it was computed again, all numbers were"
    case let found?: problem = "a number in step \(step) is not finite\(row): \(found.text)"
    }
    return divergence(
      problem + Message(trouble), step: step, ofData: finding?.operation == nil && finding?.layer == nil ? finding : nil)
  }

  /// Returns the error for a run that cannot go on, as a number is not finite.
  /// - Parameter input: tensor that was not finite before the step; nil for none.
  func divergence(_ problem: Message, step: Int, ofData input: FaultFinding? = nil) -> Failure {
    let before = folder.flatMap { $0.holdsState ? "; checkpoints in \($0.path) are from before" : nil } ?? ""
    let remedy: Message
    if let input, input.tensor.hasPrefix("the images") {
      remedy = "mend the images\(before)"
    } else {
      let warmup: Message = schedule.kind == .oneCycle ? "" : " or more \(Setting.warmupEpochs)"
      let rate = Float(schedule.rate(at: max(0, step - 1)))
      remedy = "try a lower \(Setting.learningRate) (it was \(rate))\(warmup)\(before)"
    }
    return Failure(.diverged, "\(problem): the training diverged", remedy: remedy, step: step)
  }

  /// Reads from the device what a step at fault was made of, and loads its batches again.
  private func faultRecord(of step: Int) throws -> FaultRecord {
    let first = (step - 1 - position.epoch * stepsPerEpoch) * batchesPerStep
    let loaded = try loadEpoch(from: step - 1)
    var batches: [FaultRecord.Batch] = []
    for index in first..<min(first + batchesPerStep, loaded.batches.count) {
      guard let (x, labels) = try loaded.batch(index), model.canTrain(on: x.shape) else { continue }
      // 16-bit images are kept as float32, which holds them exactly.
      batches.append(
        FaultRecord.Batch(
          images: try backend.download(x).converted(to: .float32), labels: try backend.download(labels),
          skipped: depth?.skipped(seed: configuration.seed, epoch: position.epoch, batch: index) ?? []))
    }
    let scale = try optimizer.stepGuard?.lossScale()
    return FaultRecord(
      configuration,
      FaultRecord.Header(
        step: step, epoch: position.epoch + 1, learningRate: schedule.rate(at: step - 1),
        lossScale: scale, device: backend.name),
      batches: batches, weights: try model.store.stateDictionary().map { ($0.name, $0.tensor.converted(to: .float32)) },
      classWeights: try classWeights.map { try backend.download($0).converted(to: .float32) })
  }

  /// Computes a step again on the device, up to the first tensor that is not finite. The running statistics are then as before.
  private func locate(_ record: FaultRecord) throws -> FaultFinding? {
    let trace = try StepTrace(record, in: model, configuration.precision)
    try model.store.load(Dictionary(uniqueKeysWithValues: record.weights.map { ($0.name, $0.tensor) }))
    return trace.first
  }
}
