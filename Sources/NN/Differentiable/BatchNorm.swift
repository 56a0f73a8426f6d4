import Compute

extension Pass {
  /// Batch normalisation over all dimensions but the last, plus a residual, then ReLU, in one sweep. x, residual, y [..., C].
  ///
  /// - Parameters:
  ///   - overwritingInput: nothing else reads x, so that where the gradient does not need it the result takes its place, and else
  ///     the gradient with respect to it.
  ///   - statistics: of x, where ``convolution(_:filter:stride:padding:statisticsFor:)`` has taken them already.
  public func batchNorm(
    _ x: Variable, _ layer: BatchNormLayer, residual: Variable? = nil, relu: Bool = false, overwritingInput: Bool = false,
    statistics: BatchNormChannels? = nil
  ) throws -> Variable {
    let (backend, input, slot, residualSlot) = (backend, x.value, x.slot, residual?.slot)
    let (channels, y) = try normalisation {
      try statistics ?? (mode == .training ? batchChannels(of: input, layer) : estimatedChannels(layer))
    } _: { channels in
      let y = overwritingInput && !isRecording ? input : try backend.batchTensor(input.shape, input.type)
      try backend.batchNorm(input, channels, residual: residual?.value, relu: relu, into: y)
      return y
    }
    guard isRecording else { return Variable(y) }
    let mask: ReLUMask = !relu ? .none : residual == nil ? .recomputed : .result(y)

    return record(y) { dy in
      // The residual's gradient is dy where y > 0 and takes dy's place; dx does where there is no residual.
      let dx = residualSlot == nil ? dy : overwritingInput ? input : try backend.batchTensor(input.shape, input.type)
      try backend.batchNormGradient(
        dy, x: input, mask: mask, channels, into: dx, dscale: layer.scale.gradient, dbias: layer.bias.gradient,
        dresidual: residualSlot != nil && relu ? dy : nil)
      try residualSlot?.add(dy, on: backend)
      try slot?.add(dx, on: backend)
    }
  }

  /// The statistics of the batch itself; moves the running estimates.
  private func batchChannels(of x: Tensor, _ layer: BatchNormLayer) throws -> BatchNormChannels {
    let (channels, statistics) = try batchStatistics(layer)
    try backend.batchNormStatistics(
      x, epsilon: statistics.epsilon, momentum: statistics.momentum, mean: statistics.mean,
      inverseDeviation: statistics.inverseDeviation, runningMean: statistics.runningMean,
      runningVariance: statistics.runningVariance)
    return channels
  }

  /// Where a backend is to put the statistics of a batch, and the same as a layer's channels.
  func batchStatistics(_ layer: BatchNormLayer) throws -> (BatchNormChannels, BatchNormStatistics) {
    let (mean, inverseDeviation) = (try backend.tensor(layer.scale.shape), try backend.tensor(layer.scale.shape))
    return (
      BatchNormChannels(mean: mean, inverseDeviation: inverseDeviation, scale: layer.scale.value, bias: layer.bias.value),
      BatchNormStatistics(
        epsilon: layer.epsilon, momentum: layer.momentum, mean: mean, inverseDeviation: inverseDeviation,
        runningMean: layer.runningMean.value, runningVariance: layer.runningVariance.value)
    )
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
