import Compute

extension CPUBackend {
  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule) {
    isDouble ? step(Double.self, weights, gradients, velocity, rule) : step(Float.self, weights, gradients, velocity, rule)
  }
}

private func step<T: CPUScalar>(_: T.Type, _ weights: Tensor, _ gradients: Tensor, _ velocity: Tensor, _ rule: SGDRule) {
  let (shape, count) = (weights.shape, weights.count)
  let weights = pointer(weights, shape, "sgdStep", to: T.self)
  let gradients = pointer(gradients, shape, "sgdStep", to: T.self)
  let velocity = pointer(velocity, shape, "sgdStep", to: T.self)
  for i in 0..<count {
    let g = gradients[i].double + rule.weightDecay * weights[i].double
    let v = rule.momentum * velocity[i].double + g
    velocity[i] = T(v)
    weights[i] = T(weights[i].double - rule.learningRate * (rule.nesterov ? g + rule.momentum * v : v))
  }
}
