import Compute

extension Pass {
  /// Adds the losses and correct predictions of a batch to `metrics` and, in training, starts the gradient. The loss is the
  /// batch's mean.
  ///
  /// - Parameters:
  ///   - logits: [N,K].
  ///   - labels: int32 [N], each in 0 ..< K.
  ///   - smoothing: label smoothing ε in 0 ... 1, as PyTorch defines it.
  ///   - classWeights: weights [K] of the classes; nil for the plain mean. The loss is then the weighted mean that
  ///     ``LossOperations/weightedCrossEntropy(_:labels:weights:totals:smoothing:metrics:gradient:lossScale:)`` defines.
  ///   - metrics: [3], accumulates Σ loss, the number of rows that are correct (top-1), and the number of rows whose label is
  ///     among the top 5.
  ///   - lossScale: factor of all gradients, see ``LossScale``; nil for none.
  public func crossEntropy(
    _ logits: Variable, labels: Tensor, smoothing: Double = 0, classWeights: Tensor? = nil, metrics: Tensor,
    lossScale: Tensor? = nil
  ) throws {
    let gradient = logits.slot == nil ? nil : try backend.batchTensor(logits.shape)
    if let classWeights {
      let totals = try backend.tensor([2])
      try backend.sumClassWeights(classWeights, labels: labels, into: totals)
      try backend.weightedCrossEntropy(
        logits.value, labels: labels, weights: classWeights, totals: totals, smoothing: smoothing, metrics: metrics,
        gradient: gradient, lossScale: lossScale)
    } else {
      try backend.crossEntropy(
        logits.value, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale)
    }
    if let gradient { try logits.slot?.add(gradient, on: backend) }
  }
}
