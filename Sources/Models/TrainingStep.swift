import Compute
import NN

extension ResNet {
  /// Performs one training step on the mean loss of a batch: forward, backward, update.
  ///
  /// A dry run of this function tells what a device's memory pool will hold. The parameters are those of
  /// ``accumulateGradients(images:labels:smoothing:classWeights:recompute:skipping:metrics:_:folded:onLayer:)``.
  /// - Throws: errors of the model.
  public func trainingStep(
    images: Tensor, labels: Tensor, smoothing: Double = 0, classWeights: Tensor? = nil, recompute: Bool = false,
    metrics: Tensor, _ optimizer: Optimizer, learningRate: Double, onLayer: ((String) -> Void)? = nil
  ) throws {
    try accumulateGradients(
      images: images, labels: labels, smoothing: smoothing, classWeights: classWeights, recompute: recompute, metrics: metrics,
      optimizer, onLayer: onLayer)
    try optimizer.step(learningRate: learningRate)
  }

  /// Runs forward and backward over a batch. The gradients of its mean loss go to the optimizer, for its next step.
  /// - Parameters:
  ///   - images: [N,H,W,C]; their type is the type of all activations.
  ///   - labels: int32 [N].
  ///   - smoothing: label smoothing in 0 ... 1.
  ///   - classWeights: weights [K] of the classes in the loss; nil for none.
  ///   - recompute: see ``callAsFunction(_:_:recompute:skipping:)``; the resulting weights are the same to the last bit.
  ///   - skipped: indices of the blocks that the batch passes by, see ``StochasticDepth``. The gradients of what they leave out are
  ///     zero, so momentum and weight decay act on these weights as in PyTorch where a branch is multiplied by 0. Their running
  ///     statistics stay as they are.
  ///   - metrics: [3], to which Σ loss and the numbers of correct top-1 and top-5 predictions are added.
  ///   - folded: tensors that earlier batches have derived from frozen layers.
  ///   - onLayer: receives the name of each layer before its operations, forward and backward.
  /// - Throws: errors of the model.
  public func accumulateGradients(
    images: Tensor, labels: Tensor, smoothing: Double = 0, classWeights: Tensor? = nil, recompute: Bool = false,
    skipping skipped: Set<Int> = [], metrics: Tensor, _ optimizer: Optimizer, folded: FoldedParameters = FoldedParameters(),
    onLayer: ((String) -> Void)? = nil
  ) throws {
    try optimizer.beginPass()
    try computeGradients(
      images: images, labels: labels, smoothing: smoothing, classWeights: classWeights, recompute: recompute, skipping: skipped,
      metrics: metrics, lossScale: optimizer.lossScale, folded: folded, onLayer: onLayer)
    try optimizer.accumulate(metrics)
  }

  /// Runs forward and backward over a batch, and leaves the gradients in the store. The parameters are those of
  /// ``accumulateGradients(images:labels:smoothing:classWeights:recompute:skipping:metrics:_:folded:onLayer:)``.
  /// - Parameter lossScale: factor of all gradients, see ``LossScale``; nil for none.
  /// - Throws: errors of the model.
  package func computeGradients(
    images: Tensor, labels: Tensor, smoothing: Double, classWeights: Tensor?, recompute: Bool, skipping skipped: Set<Int>,
    metrics: Tensor, lossScale: Tensor?, folded: FoldedParameters, onLayer: ((String) -> Void)? = nil
  ) throws {
    let pass = Pass(on: store.backend, mode: .training, folded: folded)
    pass.onLayer = onLayer
    let logits = try callAsFunction(Variable(images), pass, recompute: recompute, skipping: skipped)
    try pass.crossEntropy(
      logits, labels: labels, smoothing: smoothing, classWeights: classWeights, metrics: metrics, lossScale: lossScale)
    try withExtendedLifetime(logits) { try pass.backward() }
    for index in skipped.sorted() {
      let branch = blocks[index].branch
      try store.clearGradients(from: branch.first, through: branch.last)
    }
  }

  /// Name of the last layer, which computes the logits.
  public static let head = "fc"

  /// Loads weights and running statistics with torchvision's names and layouts. The weights may also belong to a network with
  /// another number of classes, with another kind of `fc` or with none. In that case the last layer stays as it is, with its
  /// newly drawn values.
  /// - Parameter takingHead: whether to load the last layer if it fits.
  /// - Returns: whether the last layer was loaded.
  /// - Throws: the same errors as ``ParameterStore/load(_:)``.
  public func load(pretrained weights: [String: HostTensor], takingHead: Bool = true) throws -> Bool {
    let isOfHead = { (name: String) in name.hasPrefix("\(Self.head).") }
    let fits = store.entries.allSatisfy { !isOfHead($0.name) || weights[$0.name]?.shape == $0.torchShape }
    // The shape is [classes, features]. If the features differ, the weights belong to another network.
    let weight = "\(Self.head).weight"
    let isForeign = weights[weight].map { $0.shape.rank != 2 || $0.shape[1] != store[weight]?.torchShape[1] } ?? false
    if isForeign || (fits && takingHead) {
      try store.load(weights)
      return true
    }
    let own = Dictionary(
      uniqueKeysWithValues: try store.stateDictionary().filter { isOfHead($0.name) }.map { ($0.name, $0.tensor) })
    try store.load(weights.filter { !isOfHead($0.key) }.merging(own) { $1 })
    return false
  }
}
