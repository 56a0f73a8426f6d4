import Compute

extension Pass {
  /// Adds the losses and hits of a batch to `metrics` and, in training, starts the gradient: the loss is the batch's mean.
  ///
  /// - Parameters:
  ///   - logits: [N,K].
  ///   - labels: int32 [N], each in 0 ..< K.
  ///   - smoothing: label smoothing ε in 0 ... 1, as PyTorch defines it.
  ///   - metrics: [3], gathers Σ loss, the number of rows right at first, and of those right among the first five.
  ///   - lossScale: what all gradients are multiplied by, as ``LossScale`` has it; nil for nothing.
  public func crossEntropy(
    _ logits: Variable, labels: Tensor, smoothing: Double = 0, metrics: Tensor, lossScale: Tensor? = nil
  ) throws {
    let gradient = logits.slot == nil ? nil : try backend.batchTensor(logits.shape)
    try backend.crossEntropy(
      logits.value, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale)
    if let gradient { try logits.slot?.add(gradient, on: backend) }
  }
}
