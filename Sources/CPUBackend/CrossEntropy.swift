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
      ? loss(Double.self, logits, labels, nil, smoothing, metrics, gradient, lossScale, images)
      : loss(Float.self, logits, labels, nil, smoothing, metrics, gradient, lossScale, images)
  }

  public func sumClassWeights(_ weights: Tensor, labels: Tensor, into totals: Tensor) {
    check(.sumClassWeights(weights, labels: labels, into: totals))
    isDouble ? sumWeights(Double.self, weights, labels, totals) : sumWeights(Float.self, weights, labels, totals)
  }

  public func weightedCrossEntropy(
    _ logits: Tensor, labels: Tensor, weights: Tensor, totals: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?,
    lossScale: Tensor?
  ) {
    check(
      .weightedCrossEntropy(
        logits, labels: labels, weights: weights, totals: totals, smoothing: smoothing, metrics: metrics, gradient: gradient,
        lossScale: lossScale))
    let (weighting, images) = ((weights: weights, totals: totals), logits.shape[0])
    isDouble
      ? loss(Double.self, logits, labels, weighting, smoothing, metrics, gradient, lossScale, images)
      : loss(Float.self, logits, labels, weighting, smoothing, metrics, gradient, lossScale, images)
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

/// Returns the labels of each image, each with its share of the target. An image that is not mixed has one.
private func shares(of labels: Tensor) -> [[(label: Int, share: Double)]] {
  let (isMixed, values) = (labels.shape.rank == 2, pointer(labels, to: Int32.self))
  return (0..<labels.shape[0]).map { image in
    guard isMixed else { return [(Int(values[image]), 1)] }
    let entry = values + image * LABEL_COLUMNS
    let share = Double(entry[LABEL_SHARE]) / Double(WHOLE_SHARE)
    return [(Int(entry[LABEL_FIRST]), share), (Int(entry[LABEL_SECOND]), 1 - share)]
  }
}

private func sumWeights<T: CPUScalar>(_: T.Type, _ weights: Tensor, _ labels: Tensor, _ totals: Tensor) {
  let (values, totals) = (pointer(weights, to: T.self), pointer(totals, to: T.self))
  let sum = shares(of: labels).joined().reduce(0) { sum, part in
    precondition((0..<weights.count).contains(part.label), "[sumClassWeights] label \(part.label) of \(weights.count) classes")
    return sum + part.share * values[part.label].double
  }
  (totals[TOTAL_WEIGHT], totals[TOTAL_IMAGES]) = (T(sum), T(Double(labels.shape[0])))
}

/// - Parameters:
///   - weighting: class weights [K] and their totals [2]; nil for a weight of 1 each.
///   - images: number of images of the whole batch; without effect on a weighted loss.
private func loss<T: CPUScalar>(
  _: T.Type, _ logits: Tensor, _ labels: Tensor, _ weighting: (weights: Tensor, totals: Tensor)?, _ smoothing: Double,
  _ metrics: Tensor, _ gradient: Tensor?, _ lossScale: Tensor?, _ images: Int
) {
  let (n, k) = (logits.shape[0], logits.shape[1])
  let shares = shares(of: labels)
  let weights = (0..<k).map { k in weighting.map { pointer($0.weights, to: T.self)[k].double } ?? 1 }
  let totals = weighting.map { pointer($0.totals, to: T.self) }
  let divisor = totals.map { $0[TOTAL_WEIGHT].double } ?? Double(images)
  let metrics = pointer(metrics, to: T.self)
  let gradient = gradient.map { pointer($0, to: T.self) }
  let scale = lossScale.map { pointer($0, to: T.self)[LossScale.next].double } ?? 1
  let logits = pointer(logits, to: T.self)
  var (total, top1, top5) = (0.0, 0.0, 0.0)
  for image in 0..<n {
    let row = logits + image * k
    let parts = shares[image]
    let normalizer = logSumExp(row, k)
    // Adds −Σ weight·target·(x − normalizer), whose terms all have the same sign.
    for (label, share) in parts {
      precondition(0 <= label && label < k, "[crossEntropy] label \(label) of row \(image) is not among \(k) classes")
      total -= weights[label] * share * (1 - smoothing) * (row[label].double - normalizer)
      guard let rank = rank(of: label, in: row, k) else { continue }
      top1 += rank < 1 ? share : 0
      top5 += rank < 5 ? share : 0
    }
    if smoothing > 0 {
      for i in 0..<k { total -= weights[i] * smoothing / Double(k) * (row[i].double - normalizer) }
    }
    guard let gradient else { continue }
    let targets = (0..<k).map { i in
      let label = parts.reduce(0) { $0 + ($1.label == i ? $1.share : 0) }
      return weights[i] * ((1 - smoothing) * label + smoothing / Double(k))
    }
    let whole = weighting == nil ? 1 : targets.reduce(0, +)
    for i in 0..<k {
      let difference = exp(row[i].double - normalizer) * whole - targets[i]
      gradient[image * k + i] = T(divisor == 0 ? 0 : scale * difference / divisor)
    }
  }
  if let totals { total = divisor == 0 ? 0 : total * totals[TOTAL_IMAGES].double / divisor }
  metrics[0] = T(metrics[0].double + total)
  metrics[1] = T(metrics[1].double + top1)
  metrics[2] = T(metrics[2].double + top5)
}
