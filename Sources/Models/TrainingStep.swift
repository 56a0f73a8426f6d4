import Compute
import NN

extension ResNet {
  /// One step of stochastic gradient descent on the mean loss of a batch: forward, backward, update.
  ///
  /// A dry run of this function tells what a device's memory pool will hold.
  /// - Parameters:
  ///   - images: [N,H,W,C]; their type is that of all activations.
  ///   - labels: int32 [N].
  ///   - smoothing: label smoothing in 0 ... 1.
  ///   - recompute: see ``callAsFunction(_:_:recompute:)``; the weights come out the same to the last bit.
  ///   - metrics: [3], to which Σ loss and the hits among the first and the first five are added.
  ///   - onLayer: told the name of each layer before its operations, forward and backward.
  /// - Throws: as the model does.
  public func trainingStep(
    images: Tensor, labels: Tensor, smoothing: Double = 0, recompute: Bool = false, metrics: Tensor, _ optimiser: SGD,
    learningRate: Double, onLayer: ((String) -> Void)? = nil
  ) throws {
    let pass = Pass(on: store.backend, mode: .training)
    pass.onLayer = onLayer
    let logits = try callAsFunction(Variable(images), pass, recompute: recompute)
    try pass.crossEntropy(
      logits, labels: labels, smoothing: smoothing, metrics: metrics, lossScale: optimiser.lossScale)
    try withExtendedLifetime(logits) { try pass.backward() }
    try optimiser.step(learningRate: learningRate)
  }
}
