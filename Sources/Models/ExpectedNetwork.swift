import Compute
import NN

/// The network for evaluation and for checkpoints of a training with stochastic depth: the branch of each block is multiplied by
/// the probability with which the block stays (Huang et al. 2016, equation 5).
///
/// The factor becomes part of the weights that come last in the branch: of a batch normalization's scale and bias, or of the
/// filter with pre-activation. So the result is an ordinary network, which other programs evaluate in the same way.
public final class ExpectedNetwork {
  /// Network with the multiplied weights; it has no gradients.
  public let model: ResNet
  private let survival: [Double]

  /// Allocates a network. Its weights are those of ``update(from:)``.
  /// - Throws: errors of the backend, for example a lack of memory.
  /// - Precondition: the store of the trained network is allocated.
  public init(of model: ResNet, _ depth: StochasticDepth) throws {
    survival = depth.survival
    self.model = try model.copy()
  }

  /// Takes the weights of the trained network, or of their average.
  public func update(from model: ResNet) throws {
    let backend = model.store.backend
    try model.copyWeights(into: self.model)
    for (block, probability) in zip(self.model.blocks, survival) where probability < 1 {
      for parameter in block.lastWeights {
        let zeros = try backend.tensor(parameter.shape)
        try backend.fill(zeros, with: 0)
        // w + (1 − p)·(0 − w) = p·w
        try backend.moveAverage(parameter.value, toward: zeros, by: 1 - probability)
      }
    }
  }
}

extension ResNet {
  /// Returns a network of the same configuration with the current weights and running statistics, without gradients.
  /// - Throws: errors of the backend, for example a lack of memory.
  /// - Precondition: the store is allocated.
  func copy() throws -> ResNet {
    let copy = try ResNet(configuration)
    try copy.store.allocate(on: store.backend, gradients: false)
    try copyWeights(into: copy)
    return copy
  }

  /// Copies weights and running statistics into a network of the same configuration.
  func copyWeights(into other: ResNet) throws {
    try store.backend.copy(store.weightsArena, into: other.store.weightsArena)
    try store.backend.copy(store.stateArena, into: other.store.stateArena)
  }
}
