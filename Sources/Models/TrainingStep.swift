import Compute
import NN

extension ResNet {
  /// One step on the mean loss of a batch: forward, backward, update.
  ///
  /// A dry run of this function tells what a device's memory pool will hold. Its parameters are those of
  /// ``accumulateGradients(images:labels:smoothing:recompute:metrics:_:folded:onLayer:)``.
  /// - Throws: as the model does.
  public func trainingStep(
    images: Tensor, labels: Tensor, smoothing: Double = 0, recompute: Bool = false, metrics: Tensor, _ optimiser: Optimiser,
    learningRate: Double, onLayer: ((String) -> Void)? = nil
  ) throws {
    try accumulateGradients(
      images: images, labels: labels, smoothing: smoothing, recompute: recompute, metrics: metrics, optimiser, onLayer: onLayer)
    try optimiser.step(learningRate: learningRate)
  }

  /// Forward and backward over a batch; the gradients of its mean loss go to the optimiser, for its next step.
  /// - Parameters:
  ///   - images: [N,H,W,C]; their type is that of all activations.
  ///   - labels: int32 [N].
  ///   - smoothing: label smoothing in 0 ... 1.
  ///   - recompute: see ``callAsFunction(_:_:recompute:)``; the weights come out the same to the last bit.
  ///   - metrics: [3], to which Σ loss and the hits among the first and the first five are added.
  ///   - folded: what earlier batches have derived from frozen layers.
  ///   - onLayer: told the name of each layer before its operations, forward and backward.
  /// - Throws: as the model does.
  public func accumulateGradients(
    images: Tensor, labels: Tensor, smoothing: Double = 0, recompute: Bool = false, metrics: Tensor, _ optimiser: Optimiser,
    folded: FoldedParameters = FoldedParameters(), onLayer: ((String) -> Void)? = nil
  ) throws {
    let pass = Pass(on: store.backend, mode: .training, folded: folded)
    pass.onLayer = onLayer
    let logits = try callAsFunction(Variable(images), pass, recompute: recompute)
    try pass.crossEntropy(
      logits, labels: labels, smoothing: smoothing, metrics: metrics, lossScale: optimiser.lossScale)
    try withExtendedLifetime(logits) { try pass.backward() }
    try optimiser.accumulate()
  }

  /// Takes weights and running estimates in torchvision's names and layouts, also those of a network with another number of classes or
  /// with no `fc` at all: then the last layer stays as it is, drawn anew.
  /// - Returns: whether the last layer was taken too.
  /// - Throws: as ``ParameterStore/load(_:)``.
  public func load(pretrained weights: [String: HostTensor]) throws -> Bool {
    let head = ["fc.weight", "fc.bias"]
    let fits = head.allSatisfy { name in weights[name].map { $0.shape == store[name]?.torchShape } ?? false }
    let differs =
      head.allSatisfy { weights[$0] == nil }
      || weights[head[0]].map { $0.shape.rank == 2 && $0.shape[1] == store[head[0]]?.shape[0] } ?? false
    if fits || !differs {
      try store.load(weights)
      return true
    }
    let own = Dictionary(
      uniqueKeysWithValues: try store.stateDictionary().filter { head.contains($0.name) }.map { ($0.name, $0.tensor) })
    try store.load(weights.merging(own) { $1 })
    return false
  }
}
