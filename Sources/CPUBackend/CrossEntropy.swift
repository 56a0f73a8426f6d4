import CKernelParameters
import Compute
import Glibc

extension CPUBackend {
  public func softmax(_ logits: Tensor, into probabilities: Tensor) {
    check(.softmax(logits, into: probabilities))
    isDouble ? exponentials(Double.self, logits, probabilities) : exponentials(Float.self, logits, probabilities)
  }

  public func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?, images: Int
  ) {
    check(
      .crossEntropy(
        logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale))
    isDouble
      ? loss(Double.self, logits, labels, smoothing, metrics, gradient, lossScale, images)
      : loss(Float.self, logits, labels, smoothing, metrics, gradient, lossScale, images)
  }
}

/// Returns log Σ exp(row). The largest element is factored out, so that no exponential overflows.
private func logSumExp<T: CPUScalar>(_ row: UnsafePointer<T>, _ count: Int) -> Double {
  var largest = -Double.infinity
  for i in 0..<count where row[i].double > largest { largest = row[i].double }
  var sum = 0.0
  for i in 0..<count { sum += exp(row[i].double - largest) }
  return largest + log(sum)
}

private func exponentials<T: CPUScalar>(_: T.Type, _ logits: Tensor, _ probabilities: Tensor) {
  let (n, k) = (logits.shape[0], logits.shape[1])
  let probabilities = pointer(probabilities, to: T.self)
  let logits = pointer(logits, to: T.self)
  for image in 0..<n {
    let row = logits + image * k
    let normalizer = logSumExp(row, k)
    for i in 0..<k { probabilities[image * k + i] = T(exp(row[i].double - normalizer)) }
  }
}

/// Returns the label's rank among the logits, 0 for the largest; of equal logits, the lower index comes first. Returns nil for a
/// row with a NaN.
private func rank<T: CPUScalar>(of label: Int, in row: UnsafePointer<T>, _ count: Int) -> Int? {
  var rank = 0
  for i in 0..<count {
    if row[i].isNaN { return nil }
    if row[i] > row[label] || (row[i] == row[label] && i < label) { rank += 1 }
  }
  return rank
}

private func loss<T: CPUScalar>(
  _: T.Type, _ logits: Tensor, _ labels: Tensor, _ smoothing: Double, _ metrics: Tensor, _ gradient: Tensor?,
  _ lossScale: Tensor?, _ images: Int
) {
  let (n, k) = (logits.shape[0], logits.shape[1])
  let columns = labels.shape.rank == 1 ? 1 : LABEL_COLUMNS
  let labels = pointer(labels, to: Int32.self)
  let metrics = pointer(metrics, to: T.self)
  let gradient = gradient.map { pointer($0, to: T.self) }
  let scale = lossScale.map { pointer($0, to: T.self)[LossScale.next].double } ?? 1
  let logits = pointer(logits, to: T.self)
  var (total, top1, top5) = (0.0, 0.0, 0.0)
  for image in 0..<n {
    let row = logits + image * k
    // Pairs of a label and its share of the target.
    let entry = labels + image * columns
    let share = columns == 1 ? 1 : Double(entry[LABEL_SHARE]) / Double(WHOLE_SHARE)
    let parts =
      columns == 1
      ? [(Int(entry[0]), share)] : [(Int(entry[LABEL_FIRST]), share), (Int(entry[LABEL_SECOND]), 1 - share)]
    let normalizer = logSumExp(row, k)
    // Adds −Σ target·(x − normalizer), whose terms all have the same sign.
    for (label, share) in parts {
      precondition(0 <= label && label < k, "[crossEntropy] label \(label) of row \(image) is not among \(k) classes")
      total -= share * (1 - smoothing) * (row[label].double - normalizer)
      guard let rank = rank(of: label, in: row, k) else { continue }
      top1 += rank < 1 ? share : 0
      top5 += rank < 5 ? share : 0
    }
    if smoothing > 0 {
      for i in 0..<k { total -= smoothing / Double(k) * (row[i].double - normalizer) }
    }
    guard let gradient else { continue }
    for i in 0..<k {
      let label = parts.reduce(0) { $0 + ($1.0 == i ? $1.1 : 0) }
      let target = (1 - smoothing) * label + smoothing / Double(k)
      gradient[image * k + i] = T(scale * (exp(row[i].double - normalizer) - target) / Double(images))
    }
  }
  metrics[0] = T(metrics[0].double + total)
  metrics[1] = T(metrics[1].double + top1)
  metrics[2] = T(metrics[2].double + top5)
}
