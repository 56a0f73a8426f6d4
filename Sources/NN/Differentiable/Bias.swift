import Compute

extension Pass {
  /// Computes y = x + bias, plus the residual, then ReLU, in one sweep and in the place of x, which nothing else may read. x,
  /// residual, y [..., C].
  public func addBias(_ x: Variable, _ bias: Parameter, residual: Variable? = nil, relu: Bool = false) throws -> Variable {
    let (backend, y, slot, residualSlot) = (backend, x.value, x.slot, residual?.slot)
    let channels = try unitChannels(bias)
    try backend.batchNorm(y, channels, residual: residual?.value, relu: relu, into: y)
    if bias.isFrozen && slot == nil && residualSlot == nil { return Variable(y) }

    return record(y) { dy in
      // dy becomes 0 where y is. It is then the gradient of both summands, and its sum that of the bias.
      if relu { try backend.reluGradient(dy, y: y, into: dy) }
      if !bias.isFrozen {
        // Batch normalization sums up in any precision. Its other results are of no use, and y is no longer needed.
        try backend.batchNormGradient(
          dy, x: y, mask: .none, channels, into: y, dscale: backend.tensor(bias.shape), dbias: bias.gradient, dresidual: nil)
      }
      // A slot owns its tensor, so the second of two gets a copy.
      if slot != nil { try residualSlot?.addCopy(of: dy, on: backend) } else { try residualSlot?.add(dy, on: backend) }
      try slot?.add(dy, on: backend)
    }
  }

  /// Returns the channels of a batch normalization that adds a bias and does nothing else.
  private func unitChannels(_ bias: Parameter) throws -> BatchNormChannels {
    let (zero, one) = (try backend.tensor(bias.shape), try backend.tensor(bias.shape))
    try backend.fill(zero, with: 0)
    try backend.fill(one, with: 1)
    return BatchNormChannels(mean: zero, inverseDeviation: one, scale: one, bias: bias.value)
  }
}
