import Compute

extension CPUBackend {
  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, lossScale: Tensor?) {
    isDouble
      ? step(Double.self, weights, gradients, velocity, rule, lossScale)
      : step(Float.self, weights, gradients, velocity, rule, lossScale)
  }

  public func updateLossScale(_ lossScale: Tensor, gradients: Tensor) {
    isDouble ? update(Double.self, lossScale, gradients) : update(Float.self, lossScale, gradients)
  }
}

private func update<T: CPUScalar>(_: T.Type, _ lossScale: Tensor, _ gradients: Tensor) {
  let scale = pointer(lossScale, [LossScale.count], "updateLossScale", to: T.self)
  let count = gradients.count
  let gradients = pointer(gradients, gradients.shape, "updateLossScale", to: T.self)
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

private func step<T: CPUScalar>(
  _: T.Type, _ weights: Tensor, _ gradients: Tensor, _ velocity: Tensor, _ rule: SGDRule, _ lossScale: Tensor?
) {
  let scale = lossScale.map { pointer($0, [LossScale.count], "sgdStep", to: T.self) }
  if let scale, scale[LossScale.isFinite] == 0 { return }
  let factor = scale.map { 1 / $0[LossScale.current].double } ?? 1
  let (shape, count) = (weights.shape, weights.count)
  let weights = pointer(weights, shape, "sgdStep", to: T.self)
  let gradients = pointer(gradients, shape, "sgdStep", to: T.self)
  let velocity = pointer(velocity, shape, "sgdStep", to: T.self)
  for i in 0..<count {
    let g = factor * gradients[i].double + rule.weightDecay * weights[i].double
    let v = rule.momentum * velocity[i].double + g
    velocity[i] = T(v)
    weights[i] = T(weights[i].double - rule.learningRate * (rule.nesterov ? g + rule.momentum * v : v))
  }
}
