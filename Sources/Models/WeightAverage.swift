import Compute
import NN

/// An exponential moving average (EMA) of a network's weights and running statistics (Polyak & Juditsky 1992). It is a network of
/// its own, which usually classifies better than the trained one.
///
/// After step t, a share 1 − min(decay, (1+t)/(10+t)) of the average is replaced, so that the average soon forgets the first
/// weights.
public final class WeightAverage {
  /// Network with the averages; it has no gradients.
  public let model: ResNet
  /// Decay per step, in 0 ..< 1; in the first steps it is smaller.
  public let decay: Double

  /// Creates an average that starts with the current weights.
  /// - Throws: errors of the backend, for example a lack of memory.
  /// - Precondition: the network's store is allocated.
  public init(of model: ResNet, decay: Double) throws {
    self.decay = decay
    self.model = try model.copy()
  }

  /// Updates the average with the weights after a step.
  /// - Parameter step: number of the step, counted from 1.
  public func update(from model: ResNet, step: Int) throws {
    let share = 1 - min(decay, Double(1 + step) / Double(10 + step))
    let (backend, own) = (model.store.backend, self.model.store)
    try backend.moveAverage(own.weightsArena, toward: model.store.weightsArena, by: share)
    try backend.moveAverage(own.stateArena, toward: model.store.stateArena, by: share)
  }
}
