import Compute

extension Pass {
  /// Computes batch normalization over all dimensions but the last, plus a residual, then ReLU, in one sweep. x, residual, y
  /// [..., C].
  ///
  /// - Parameters:
  ///   - overwritingInput: whether nothing else reads x, so that its memory can be reused: for the result if the gradient does
  ///     not need x, otherwise for the gradient with respect to x.
  ///   - statistics: statistics of x, if ``convolution(_:filter:stride:padding:groups:statisticsFor:)`` has already computed
  ///     them.
  public func batchNorm(
    _ x: Variable, _ layer: BatchNormLayer, residual: Variable? = nil, relu: Bool = false, overwritingInput: Bool = false,
    statistics: BatchNormChannels? = nil
  ) throws -> Variable {
    let (backend, input, slot, residualSlot) = (backend, x.value, x.slot, residual?.slot)
    let usesBatch = mode == .training && !layer.isFrozen
    let (channels, y) = try normalization {
      try statistics ?? (usesBatch ? batchChannels(of: input, layer) : estimatedChannels(layer))
    } _: { channels in
      // The gradient needs x if the batch's own statistics are used.
      let y = overwritingInput && !(isRecording && usesBatch) ? input : try backend.batchTensor(input.shape, input.type)
      try backend.batchNorm(input, channels, residual: residual?.value, relu: relu, into: y)
      return y
    }
    if layer.isFrozen { return try fixedBatchNorm(y, channels, slot, residualSlot, relu: relu) }
    let mask: ReLUMask = !relu ? .none : residual == nil ? .recomputed : .result(y)

    return record(y) { dy in
      // The residual's gradient is dy where y > 0, and takes the place of dy. Without a residual, dx takes the place of dy.
      let dx = residualSlot == nil ? dy : overwritingInput ? input : try backend.batchTensor(input.shape, input.type)
      try backend.batchNormGradient(
        dy, x: input, mask: mask, channels, into: dx, dscale: layer.scale.gradient, dbias: layer.bias.gradient,
        dresidual: residualSlot != nil && relu ? dy : nil)
      try residualSlot?.add(dy, on: backend)
      try slot?.add(dx, on: backend)
    }
  }

  /// Records the result y of a batch normalization with given statistics. This is a linear map of each channel:
  /// dx = scale·inverseDeviation·g, where g is dy where ReLU let the value pass, else 0.
  private func fixedBatchNorm(
    _ y: Tensor, _ channels: BatchNormChannels, _ slot: GradientSlot?, _ residualSlot: GradientSlot?, relu: Bool
  ) throws -> Variable {
    if slot == nil && residualSlot == nil { return Variable(y) }
    let backend = backend
    let mask = relu ? y : nil
    return record(y) { dy in
      if let mask { try backend.reluGradient(dy, y: mask, into: dy) }
      if let slot {
        let dx = residualSlot == nil ? dy : try backend.batchTensor(dy.shape, dy.type)
        let zero = try backend.tensor(channels.mean.shape)
        try backend.fill(zero, with: 0)
        let map = BatchNormChannels(
          mean: zero, inverseDeviation: channels.inverseDeviation, scale: channels.scale, bias: zero)
        try backend.batchNorm(dy, map, residual: nil, relu: false, into: dx)
        try slot.add(dx, on: backend)
      }
      try residualSlot?.add(dy, on: backend)
    }
  }

  /// Computes the statistics of the batch itself and updates the running statistics.
  private func batchChannels(of x: Tensor, _ layer: BatchNormLayer) throws -> BatchNormChannels {
    let (channels, statistics) = try batchStatistics(layer)
    try backend.batchNormStatistics(x, statistics)
    return channels
  }

  /// Allocates memory for the statistics of a batch. Returns it as a layer's channels and as the destination for a backend.
  func batchStatistics(_ layer: BatchNormLayer) throws -> (BatchNormChannels, BatchNormStatistics) {
    let (mean, inverseDeviation) = (try backend.tensor(layer.scale.shape), try backend.tensor(layer.scale.shape))
    return (
      BatchNormChannels(mean: mean, inverseDeviation: inverseDeviation, scale: layer.scale.value, bias: layer.bias.value),
      BatchNormStatistics(
        epsilon: layer.epsilon, momentum: layer.momentum, mean: mean, inverseDeviation: inverseDeviation,
        runningMean: layer.runningMean.value, runningVariance: layer.runningVariance.value)
    )
  }

  /// Returns the running statistics as a layer's channels.
  private func estimatedChannels(_ layer: BatchNormLayer) throws -> BatchNormChannels {
    let inverseDeviation = try backend.tensor(layer.scale.shape)
    try backend.inverseDeviation(
      ofVariance: layer.runningVariance.value, epsilon: layer.epsilon, into: inverseDeviation)
    return BatchNormChannels(
      mean: layer.runningMean.value, inverseDeviation: inverseDeviation, scale: layer.scale.value, bias: layer.bias.value)
  }
}
