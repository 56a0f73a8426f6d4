import Compute

/// Stochastic gradient descent with momentum over all parameters of a store, as PyTorch's `torch.optim.SGD`.
public struct SGD {
  public let store: ParameterStore
  /// The velocities, in the layout of the weights.
  public let velocityArena: Tensor
  /// The constants of the next step; the learning rate is set by the step itself.
  public var momentum, weightDecay: Double
  public var nesterov: Bool
  /// The factor that the gradients carry, as ``LossScale`` has it; nil for none.
  public let lossScale: Tensor?

  /// Starts with velocity zero.
  /// - Parameter scalingLoss: whether the loss is scaled dynamically, for activations in float16.
  /// - Precondition: the store is allocated.
  /// - Throws: what the backend throws, for example for lack of memory.
  public init(
    _ store: ParameterStore, momentum: Double = 0.9, weightDecay: Double = 1e-4, nesterov: Bool = false, scalingLoss: Bool = false
  ) throws {
    self.store = store
    self.momentum = momentum
    self.weightDecay = weightDecay
    self.nesterov = nesterov
    velocityArena = try store.backend.tensor(store.weightsArena.shape)
    try store.backend.fill(velocityArena, with: 0)
    lossScale = scalingLoss ? try store.backend.upload(HostTensor(LossScale.initial, shape: [LossScale.count])) : nil
  }

  /// Moves the weights along the gradients that a backward pass has left in the store, unless a scaled one is an infinity.
  public func step(learningRate: Double) throws {
    let rule = SGDRule(learningRate: learningRate, momentum: momentum, weightDecay: weightDecay, nesterov: nesterov)
    if let lossScale { try store.backend.updateLossScale(lossScale, gradients: store.gradientsArena) }
    try store.backend.sgdStep(
      store.weightsArena, gradients: store.gradientsArena, velocity: velocityArena, rule, lossScale: lossScale)
  }
}
