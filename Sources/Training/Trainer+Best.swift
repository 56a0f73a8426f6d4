import Checkpoints
import Models
import NN
import Support

extension RunConfiguration.WatchedFigure {
  /// Whether an epoch's figure is better than that of the best epoch before it. One whose validation loss is not finite never is.
  /// - Parameter best: validation accuracy and loss of the best epoch so far; nil if there is none. Runs that an earlier version
  ///   saved do not know the loss.
  func improves(_ record: EpochRecord, on best: (accuracy: Double, loss: Double?)?) -> Bool {
    guard record.validationLoss.isFinite else { return false }
    guard let best else { return true }
    return switch self {
    case .loss: best.loss.map { record.validationLoss < $0 } ?? true
    case .accuracy: record.validationAccuracy > best.accuracy
    }
  }

  /// Whether an epoch is better than the best one before it: its figure is better, or it is as accurate and has a lower loss.
  /// - Parameter best: see ``improves(_:on:)``.
  func prefers(_ record: EpochRecord, to best: (accuracy: Double, loss: Double?)?) -> Bool {
    if improves(record, on: best) { return true }
    guard self == .accuracy, let best, let loss = best.loss else { return false }
    return record.validationAccuracy == best.accuracy && record.validationLoss < loss
  }
}

/// The best epoch of a run, and its weights.
extension Trainer {

  /// Returns the weights as they are now, or their moving average if the run keeps one. With stochastic depth, they are those of
  /// the ``ExpectedNetwork``.
  /// - Throws: errors of the backend.
  package func lastWeights() throws -> Weights { Weights(try saved().store.stateDictionary(), description) }

  /// Figures of the best epoch; nil before an epoch with a finite validation loss. Runs that an earlier version saved know only
  /// the accuracy.
  package var bestFigures: (epoch: Int?, accuracy: Double, loss: Double?)? {
    position.bestAccuracy < 0 ? nil : (position.bestEpoch, position.bestAccuracy, position.bestLoss)
  }

  /// Returns the weights of the best epoch, that with the highest validation accuracy or the lowest validation loss, as
  /// ``RunConfiguration/watch`` says.
  /// - Throws: ``Failure`` if no epoch is finished, if none had a finite validation loss, or if the file cannot be read.
  package func bestWeights() throws -> Weights {
    if let folder, InputFile.exists(folder.bestPath) { return try Weights(contentsOf: folder.bestPath) }
    if let best { return best }
    let reason: Message = position.epoch == 0 ? "no epoch is finished" : "no epoch has a finite validation loss"
    throw Failure(.notFound, "\(reason), so there are no best weights yet")
  }
}
