import Checkpoints
import Models
import NN
import Support

/// The best epoch of a run, and its weights.
extension Trainer {
  /// Whether the watched figure of an epoch is better than that of the best epoch before it.
  func improvesWatchedFigure(_ record: EpochRecord) -> Bool {
    switch configuration.watch ?? .accuracy {
    case .loss: position.bestLoss.map { record.validationLoss < $0 } ?? true
    case .accuracy: record.validationAccuracy > position.bestAccuracy
    }
  }

  /// Whether an epoch is as accurate as the best epoch before it, and has a lower loss.
  func breaksTie(_ record: EpochRecord) -> Bool {
    (configuration.watch ?? .accuracy) == .accuracy && record.validationAccuracy == position.bestAccuracy
      && position.bestLoss.map { record.validationLoss < $0 } ?? false
  }

  /// Returns the weights as they are now, or their moving average if the run keeps one. With stochastic depth, they are those of
  /// the ``ExpectedNetwork``.
  /// - Throws: errors of the backend.
  package func lastWeights() throws -> Weights { Weights(try saved().store.stateDictionary(), description) }

  /// Figures of the best epoch; nil before an epoch is finished. Runs that an earlier version saved know only the accuracy.
  package var bestFigures: (epoch: Int?, accuracy: Double, loss: Double?)? {
    position.bestAccuracy < 0 ? nil : (position.bestEpoch, position.bestAccuracy, position.bestLoss)
  }

  /// Returns the weights of the best epoch, that with the highest validation accuracy or the lowest validation loss, as
  /// ``RunConfiguration/watch`` says.
  /// - Throws: ``Failure`` if no epoch is finished, or the file cannot be read.
  package func bestWeights() throws -> Weights {
    if let folder, InputFile.exists(folder.bestPath) { return try Weights(contentsOf: folder.bestPath) }
    guard let best else { throw Failure(.notFound, "no epoch is finished, so there are no best weights yet") }
    return best
  }
}
