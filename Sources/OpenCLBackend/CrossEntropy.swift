import Compute
import Kernels

extension OpenCLBackend {
  public func softmax(_ logits: Tensor, into probabilities: Tensor) throws {
    precondition(
      logits.shape.rank == 2 && logits.count == probabilities.count, "[softmax] \(logits.shape) → \(probabilities.shape)")
    try launch(
      Specialisation(.crossEntropy, "softmax"), global: [logits.shape[0]],
      [.buffer(logits.buffer), .buffer(probabilities.buffer), .int(logits.shape[1])])
  }

  public func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?
  ) throws {
    precondition(
      logits.shape.rank == 2 && labels.count == logits.shape[0] && metrics.count == 3,
      "[crossEntropy] \(logits.shape), labels \(labels.shape), metrics \(metrics.shape)")
    let (n, k) = (logits.shape[0], logits.shape[1])
    let rows = try tensor([n, 3])
    try launch(
      Specialisation(.crossEntropy, "cross_entropy"), global: [n],
      [.buffer(logits.buffer), .buffer(labels.buffer), .buffer(rows.buffer), .int(k), .float(Float(smoothing))])
    try launch(
      Specialisation(.crossEntropy, "add_metrics"), global: [3], [.buffer(rows.buffer), .buffer(metrics.buffer), .int(n)])
    guard let gradient else { return }
    precondition(gradient.count == logits.count, "[crossEntropy] gradient \(gradient.shape) of \(logits.shape)")
    try launch(
      Specialisation(.crossEntropy, "cross_entropy_gradient", ["SCALED": lossScale == nil ? 0 : 1]), global: [n],
      [
        .buffer(logits.buffer), .buffer(labels.buffer), .buffer((lossScale ?? logits).buffer), .buffer(gradient.buffer), .int(n),
        .int(k), .float(Float(smoothing)),
      ])
  }
}
