import Compute
import Datasets
import Models
import Support

/// Checks at the start of a run, and what changes when a run goes on.
extension Trainer {
  /// Checks that model, data and device fit each other, including the memory for training.
  /// - Throws: ``Failure`` if they do not.
  static func check(
    _ configuration: RunConfiguration, _ train: any ImageSource, _ validation: any ImageSource, on backend: any Backend
  ) throws {
    try configuration.check(train)
    try train.requirePixels(for: configuration.augmentation)
    try configuration.requireMemory(train, validation, on: backend)
  }

  /// Lets a run go on that has more epochs than when it was saved.
  /// - Returns: notes for the user.
  func goOn(after saved: SavedState) -> [String] {
    guard let before = saved.configuration, before.epochs != configuration.epochs else { return [] }
    // A run that ended because it did not improve has as many epochs to improve again.
    if position.staleEpochs != nil { position.staleEpochs = 0 }
    if isFinished { return [] }
    return [
      "\(configuration.epochs) epochs, where the run had \(before.epochs): the learning rate goes on as in a run of that length, at "
        + "\(Float(schedule.rate(at: position.step)))"
    ]
  }
}

extension RunFolder {
  /// Returns notes about damaged states.
  func notes(on damaged: [(file: StateFile, failure: Failure)], insteadOf state: SavedState) -> [String] {
    damaged.map { "\($0.failure): the run goes on from \(state.file.path), of step \(state.position.step)" }
  }

  /// Checks that a saved position fits a run.
  /// - Throws: ``Failure`` if the run's options and data cannot have led to it.
  func check(_ position: Position, stepsPerEpoch: Int, totalSteps: Int) throws {
    let begun = position.epoch * stepsPerEpoch
    if begun >= totalSteps { return }  // Finished.
    guard (begun...min(totalSteps, begun + stepsPerEpoch)).contains(position.step) else {
      throw Failure(
        .mismatch,
        "\(statePath) was saved at step \(position.step) of another data set or with other options than "
          + "\(configurationPath) has now",
        remedy: "restore them, or begin a new run")
    }
  }
}
