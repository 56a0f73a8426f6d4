import Compute

/// Stochastic gradient descent with momentum over all parameters of a store, as PyTorch's `torch.optim.SGD`.
public struct SGD {
  public let store: ParameterStore
  /// The velocities, in the layout of the weights.
  public let velocityArena: Tensor
  /// The constants of the next step; the learning rate is set by the step itself.
  public var momentum, weightDecay: Double
  public var nesterov: Bool

  /// Starts with velocity zero.
  /// - Precondition: the store is allocated.
  /// - Throws: what the backend throws, for example for lack of memory.
  public init(_ store: ParameterStore, momentum: Double = 0.9, weightDecay: Double = 1e-4, nesterov: Bool = false) throws {
    self.store = store
    self.momentum = momentum
    self.weightDecay = weightDecay
    self.nesterov = nesterov
    velocityArena = try store.backend.tensor(store.weightsArena.shape)
    try store.backend.fill(velocityArena, with: 0)
  }

  /// Moves the weights along the gradients that a backward pass has left in the store.
  public func step(learningRate: Double) throws {
    let rule = SGDRule(learningRate: learningRate, momentum: momentum, weightDecay: weightDecay, nesterov: nesterov)
    try store.backend.sgdStep(store.weightsArena, gradients: store.gradientsArena, velocity: velocityArena, rule)
  }
}
