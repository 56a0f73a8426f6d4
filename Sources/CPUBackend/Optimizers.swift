import Compute
import Glibc

extension CPUBackend {
  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) {
    check(.sgdStep(weights, gradients: gradients, velocity: velocity, rule, use))
    isDouble
      ? step(Double.self, weights, gradients, velocity, rule, use) : step(Float.self, weights, gradients, velocity, rule, use)
  }

  public func adamWStep(
    _ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse
  ) {
    check(.adamWStep(weights, gradients: gradients, mean: mean, square: square, rule, use))
    isDouble
      ? step(Double.self, weights, gradients, mean, square, rule, use)
      : step(Float.self, weights, gradients, mean, square, rule, use)
  }

  public func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) {
    check(.squaredNorm(x, into: norms, at: index))
    isDouble ? addSquares(Double.self, x, norms, index) : addSquares(Float.self, x, norms, index)
  }

  public func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) {
    check(.moveAverage(average, toward: x, by: share))
    isDouble ? move(Double.self, average, x, share) : move(Float.self, average, x, share)
  }

  public func updateLossScale(_ lossScale: Tensor, gradients: Tensor) {
    check(.updateLossScale(lossScale, gradients: gradients))
    isDouble ? update(Double.self, lossScale, gradients) : update(Float.self, lossScale, gradients)
  }
}

private func update<T: CPUScalar>(_: T.Type, _ lossScale: Tensor, _ gradients: Tensor) {
  let scale = pointer(lossScale, to: T.self)
  let count = gradients.count
  let gradients = pointer(gradients, to: T.self)
  let isFinite = (0..<count).allSatisfy { gradients[$0].isFinite }
  scale[LossScale.current] = scale[LossScale.next]
  scale[LossScale.isFinite] = isFinite ? 1 : 0
  scale[LossScale.steps] = isFinite ? scale[LossScale.steps] + 1 : 0
  if !isFinite {
    scale[LossScale.next] /= 2
    scale[LossScale.skipped] += 1
  } else if scale[LossScale.steps] >= T(Double(LossScale.growthInterval)) {
    scale[LossScale.next] *= 2
    scale[LossScale.steps] = 0
  }
}

/// Returns the factor for the stored gradients and the number of steps skipped so far; nil if this step is skipped.
private func resolve<T: CPUScalar>(_: T.Type, _ use: GradientUse) -> (factor: Double, skipped: Int)? {
  var (factor, skipped) = (use.factor, 0)
  if let lossScale = use.lossScale {
    let scale = pointer(lossScale, to: T.self)
    if scale[LossScale.isFinite] == 0 { return nil }
    factor /= scale[LossScale.current].double
    skipped = Int(scale[LossScale.skipped].double)
  }
  if let maximum = use.maximumNorm, let norms = use.norms {
    let norm = pointer(norms, to: T.self)[0].double.squareRoot()
    factor *= min(1, maximum / (norm * abs(factor) + 1e-6))
  }
  return (factor, skipped)
}

private func step<T: CPUScalar>(
  _: T.Type, _ weights: Tensor, _ gradients: Tensor, _ velocity: Tensor, _ rule: SGDRule, _ use: GradientUse
) {
  guard let (factor, _) = resolve(T.self, use) else { return }
  var adaptation = 1.0
  if let layer = rule.adaptation, let norms = use.norms {
    let squares = pointer(norms, to: T.self)
    let (gradient, weight) = (squares[layer.index].double.squareRoot(), squares[layer.index + 1].double.squareRoot())
    if gradient > 0 && weight > 0 {
      adaptation = layer.trust * weight / (gradient * abs(factor) + rule.weightDecay * weight)
    }
  }
  let count = weights.count
  let weights = pointer(weights, to: T.self)
  let gradients = pointer(gradients, to: T.self)
  let velocity = pointer(velocity, to: T.self)
  for i in 0..<count {
    let g = adaptation * (factor * gradients[i].double + rule.weightDecay * weights[i].double)
    let v = rule.momentum * velocity[i].double + g
    velocity[i] = T(v)
    weights[i] = T(weights[i].double - rule.learningRate * (rule.nesterov ? g + rule.momentum * v : v))
  }
}

private func step<T: CPUScalar>(
  _: T.Type, _ weights: Tensor, _ gradients: Tensor, _ mean: Tensor, _ square: Tensor, _ rule: AdamWRule, _ use: GradientUse
) {
  guard let (factor, skipped) = resolve(T.self, use) else { return }
  let steps = Double(rule.step - skipped)
  let (bias1, bias2) = (1 - pow(rule.beta1, steps), (1 - pow(rule.beta2, steps)).squareRoot())
  let count = weights.count
  let weights = pointer(weights, to: T.self)
  let gradients = pointer(gradients, to: T.self)
  let mean = pointer(mean, to: T.self)
  let square = pointer(square, to: T.self)
  for i in 0..<count {
    let g = factor * gradients[i].double
    let m = rule.beta1 * mean[i].double + (1 - rule.beta1) * g
    let s = rule.beta2 * square[i].double + (1 - rule.beta2) * g * g
    (mean[i], square[i]) = (T(m), T(s))
    let decayed = (1 - rule.learningRate * rule.weightDecay) * weights[i].double
    weights[i] = T(decayed - rule.learningRate * (m / bias1) / (s.squareRoot() / bias2 + rule.epsilon))
  }
}

private func addSquares<T: CPUScalar>(_: T.Type, _ x: Tensor, _ norms: Tensor, _ index: Int) {
  let count = x.count
  let x = pointer(x, to: T.self)
  let norms = pointer(norms, to: T.self)
  norms[index] = T((0..<count).reduce(0.0) { $0 + x[$1].double * x[$1].double })
}

private func move<T: CPUScalar>(_: T.Type, _ average: Tensor, _ x: Tensor, _ share: Double) {
  let count = average.count
  let average = pointer(average, to: T.self)
  let x = pointer(x, to: T.self)
  for i in 0..<count { average[i] = T(average[i].double + share * (x[i].double - average[i].double)) }
}
