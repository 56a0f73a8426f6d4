import Compute

extension Pass {
  /// Batch normalisation over all dimensions but the last, plus a residual, then ReLU, in one sweep. x, residual, y [..., C].
  public func batchNorm(
    _ x: Variable, _ layer: BatchNormLayer, residual: Variable? = nil, relu: Bool = false
  ) throws -> Variable {
    guard mode == .training else {
      let y = try backend.tensor(x.shape)
      try backend.batchNorm(x.value, estimatedChannels(layer), residual: residual?.value, relu: relu, into: y)
      return Variable(y)
    }
    let (backend, input, slot, residualSlot) = (backend, x.value, x.slot, residual?.slot)
    let channels = try batchChannels(of: input, layer)
    let y = try backend.tensor(x.shape)
    try backend.batchNorm(input, channels, residual: residual?.value, relu: relu, into: y)
    let mask: ReLUMask = !relu ? .none : residual == nil ? .recomputed : .result(y)

    return record(y) { dy in
      // The residual's gradient is dy where y > 0 and takes dy's place; dx does where there is no residual.
      let dx = residualSlot == nil ? dy : try backend.tensor(input.shape)
      try backend.batchNormGradient(
        dy, x: input, mask: mask, channels, into: dx, dscale: layer.scale.gradient, dbias: layer.bias.gradient,
        dresidual: residualSlot != nil && relu ? dy : nil)
      try residualSlot?.add(dy, on: backend)
      try slot?.add(dx, on: backend)
    }
  }

  /// The statistics of the batch itself; moves the running estimates.
  private func batchChannels(of x: Tensor, _ layer: BatchNormLayer) throws -> BatchNormChannels {
    let mean = try backend.tensor(layer.scale.shape)
    let inverseDeviation = try backend.tensor(layer.scale.shape)
    try backend.batchNormStatistics(
      x, epsilon: layer.epsilon, momentum: layer.momentum, mean: mean, inverseDeviation: inverseDeviation,
      runningMean: layer.runningMean.value, runningVariance: layer.runningVariance.value)
    return BatchNormChannels(
      mean: mean, inverseDeviation: inverseDeviation, scale: layer.scale.value, bias: layer.bias.value)
  }

  /// The running estimates.
  private func estimatedChannels(_ layer: BatchNormLayer) throws -> BatchNormChannels {
    let inverseDeviation = try backend.tensor(layer.scale.shape)
    try backend.inverseDeviation(
      ofVariance: layer.runningVariance.value, epsilon: layer.epsilon, into: inverseDeviation)
    return BatchNormChannels(
      mean: layer.runningMean.value, inverseDeviation: inverseDeviation, scale: layer.scale.value, bias: layer.bias.value)
  }
}
