import CKernelParameters
import Compute
import OpenCL

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
    try loss(logits, labels, nil, smoothing, metrics, gradient, lossScale, images)
  }

  public func sumClassWeights(_ weights: Tensor, labels: Tensor, into totals: Tensor) throws {
    check(.sumClassWeights(weights, labels: labels, into: totals))
    let n = labels.shape[0]
    let group = traits.group(columns: WEIGHT_TOTALS, of: 1, rows: n)
    try launch(
      KernelSpecialization("cross_entropy.cl", "sum_class_weights", Self.mixed(labels)), on: group.grid(columns: WEIGHT_TOTALS),
      [.buffer(weights.buffer), .buffer(labels.buffer), .buffer(totals.buffer), .int(n)])
  }

  public func weightedCrossEntropy(
    _ logits: Tensor, labels: Tensor, weights: Tensor, totals: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?,
    lossScale: Tensor?
  ) throws {
    check(
      .weightedCrossEntropy(
        logits, labels: labels, weights: weights, totals: totals, smoothing: smoothing, metrics: metrics, gradient: gradient,
        lossScale: lossScale))
    try loss(logits, labels, (weights, totals), smoothing, metrics, gradient, lossScale, logits.shape[0])
  }

  /// - Parameters:
  ///   - weighting: class weights [K] and their totals [2]; nil for a weight of 1 each.
  ///   - images: number of images of the whole batch; without effect on a weighted loss.
  private func loss(
    _ logits: Tensor, _ labels: Tensor, _ weighting: (weights: Tensor, totals: Tensor)?, _ smoothing: Double,
    _ metrics: Tensor, _ gradient: Tensor?, _ lossScale: Tensor?, _ images: Int
  ) throws {
    let (n, k) = (logits.shape[0], logits.shape[1])
    let rows = try tensor([n, 3])
    let (group, metricsGroup) = (rowGroup(logits), traits.group(columns: 3, of: 1, rows: n))
    let grid = group.grid(columns: n)
    let loss = try cross_entropy_t(images: int32(images), classes: int32(k), smoothing: Float(smoothing))
    let weighted: KeyValuePairs<String, Int> = weighting == nil ? [:] : ["WEIGHTED": 1]
    // Kernels without weights or a scale do not read these.
    let unread = logits
    let inputs: [Kernel.Argument] = [logits, labels, weighting?.weights ?? unread, weighting?.totals ?? unread].map {
      .buffer($0.buffer)
    }
    try launch(
      KernelSpecialization("cross_entropy.cl", "cross_entropy", Self.mixed(labels), weighted), on: grid,
      inputs + [.buffer(rows.buffer), .structure(loss)])
    try launch(
      KernelSpecialization("cross_entropy.cl", "add_metrics"), on: metricsGroup.grid(columns: 3),
      [.buffer(rows.buffer), .buffer(metrics.buffer), .int(n)])
    guard let gradient else { return }
    try launch(
      KernelSpecialization(
        "cross_entropy.cl", "cross_entropy_gradient", ["SCALED": lossScale == nil ? 0 : 1], Self.mixed(labels), weighted),
      on: grid,
      inputs + [.buffer((lossScale ?? unread).buffer), .buffer(gradient.buffer), .structure(loss)])
  }

  /// Returns the define for labels of mixed images.
  private static func mixed(_ labels: Tensor) -> KeyValuePairs<String, Int> { labels.shape.rank == 1 ? [:] : ["MIXED": 1] }

  /// Returns a work-group that shares one row of logits.
  private func rowGroup(_ logits: Tensor) -> WorkGroup { traits.group(columns: 1, of: 1, rows: logits.shape[1]) }
}
