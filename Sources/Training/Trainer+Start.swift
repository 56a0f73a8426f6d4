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

  /// Lets a run go on whose settings are others than when it was saved.
  /// - Returns: notes for the user.
  func goOn(after saved: SavedState) -> [String] {
    guard let before = saved.configuration else { return [] }
    return goOnWithFaults(before) + goOnWithEpochs(before)
  }

  /// Notes what follows a step at fault, if that is something else than before.
  private func goOnWithFaults(_ before: RunConfiguration) -> [String] {
    switch (before.onFault ?? .stop, configuration.onFault ?? .stop) {
    case (.stop, .skip):
      [
        "from here on, steps in which a number is not finite are left out: the run had ended at the first one, and has other bits after it"
      ]
    case (.skip, .stop):
      ["from here on, a step in which a number is not finite ends the run: such steps were left out before"]
    case (.stop, .stop), (.skip, .skip): []
    }
  }

  private func goOnWithEpochs(_ before: RunConfiguration) -> [String] {
    if before.epochs == configuration.epochs { return [] }
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
