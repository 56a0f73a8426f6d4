import CKernelParameters
import Compute

extension OpenCLBackend {
  public func softmax(_ logits: Tensor, into probabilities: Tensor) throws {
    check(.softmax(logits, into: probabilities))
    let group = rowGroup(logits)
    try launch(
      KernelSpecialization("cross_entropy.cl", "softmax"), on: group.grid(columns: logits.shape[0]),
      [.buffer(logits.buffer), .buffer(probabilities.buffer), .int(logits.shape[1])])
  }

  public func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?, images: Int
  ) throws {
    check(
      .crossEntropy(
        logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale))
    let (n, k) = (logits.shape[0], logits.shape[1])
    let rows = try tensor([n, 3])
    let (group, metricsGroup) = (rowGroup(logits), traits.group(columns: 3, of: 1, rows: n))
    let grid = group.grid(columns: n)
    let loss = try cross_entropy_t(images: int32(images), classes: int32(k), smoothing: Float(smoothing))
    let mixed: KeyValuePairs<String, Int> = labels.shape.rank == 1 ? [:] : ["MIXED": 1]
    try launch(
      KernelSpecialization("cross_entropy.cl", "cross_entropy", mixed), on: grid,
      [.buffer(logits.buffer), .buffer(labels.buffer), .buffer(rows.buffer), .structure(loss)])
    try launch(
      KernelSpecialization("cross_entropy.cl", "add_metrics"), on: metricsGroup.grid(columns: 3),
      [.buffer(rows.buffer), .buffer(metrics.buffer), .int(n)])
    guard let gradient else { return }
    try launch(
      KernelSpecialization("cross_entropy.cl", "cross_entropy_gradient", ["SCALED": lossScale == nil ? 0 : 1], mixed), on: grid,
      [
        .buffer(logits.buffer), .buffer(labels.buffer), .buffer((lossScale ?? logits).buffer), .buffer(gradient.buffer),
        .structure(loss),
      ])
  }

  /// Returns a work-group that shares one row of logits.
  private func rowGroup(_ logits: Tensor) -> WorkGroup { traits.group(columns: 1, of: 1, rows: logits.shape[1]) }
}
