import Compute
import NN

/// An exponential moving average of a network's weights and running estimates (Polyak & Juditsky 1992), as a network of its own, which
/// mostly classifies better than the one that is trained.
///
/// After step t a share 1 − min(decay, (1+t)/(10+t)) of the average is replaced, so that it soon forgets the first weights.
public final class WeightAverage {
  /// The network with the averages; it has no gradients.
  public let model: ResNet
  /// In 0 ..< 1, of an average that is not young any more.
  public let decay: Double

  /// Starts with the weights as they are.
  /// - Throws: what the backend throws, for example for lack of memory.
  /// - Precondition: the network's store is allocated.
  public init(of model: ResNet, decay: Double) throws {
    self.decay = decay
    self.model = try ResNet(model.configuration)
    let backend = model.store.backend
    try self.model.store.allocate(on: backend, gradients: false)
    try backend.copy(model.store.weightsArena, into: self.model.store.weightsArena)
    try backend.copy(model.store.stateArena, into: self.model.store.stateArena)
  }

  /// Takes in the weights after a step.
  /// - Parameter step: its number, from 1.
  public func update(from model: ResNet, step: Int) throws {
    let share = 1 - min(decay, Double(1 + step) / Double(10 + step))
    let (backend, own) = (model.store.backend, self.model.store)
    try backend.moveAverage(own.weightsArena, toward: model.store.weightsArena, by: share)
    try backend.moveAverage(own.stateArena, toward: model.store.stateArena, by: share)
  }
}
