/// Batch normalization in a dry run.
extension DryRunBackend {
  public func batchNormStatistics(
    _ x: Tensor, epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
    runningVariance: Tensor
  ) {
    let c = channels(of: x, "batchNormStatistics")
    require(x, x.shape, "batchNormStatistics", storage(x, "batchNormStatistics"))
    precondition(x.count > c, "[batchNormStatistics] \(x.shape) has one value a channel, two are due")
    for tensor in [mean, inverseDeviation, runningMean, runningVariance] { require(tensor, [c], "batchNormStatistics") }
    log(
      "batchNormStatistics", "\(x.shape)", reads: [x], updates: [runningMean, runningVariance], writes: [mean, inverseDeviation],
      workspace: .batchNormStatistics(rows: x.count / c, channels: c)
    ) {
      try $0.batchNormStatistics(
        $1[0], epsilon: epsilon, momentum: momentum, mean: $1[3], inverseDeviation: $1[4], runningMean: $1[1],
        runningVariance: $1[2])
    }
  }

  public func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) {
    require(variance, [variance.count], "inverseDeviation")
    require(inverseDeviation, variance.shape, "inverseDeviation")
    log("inverseDeviation", "\(variance.count)", reads: [variance], writes: [inverseDeviation]) {
      try $0.inverseDeviation(ofVariance: $1[0], epsilon: epsilon, into: $1[1])
    }
  }

  public func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor) {
    let reads = [norm.mean, norm.variance, norm.scale, norm.bias]
    for tensor in reads + [scale, bias] { require(tensor, [norm.mean.count], "foldBatchNorm") }
    log("foldBatchNorm", "\(norm.mean.count)", reads: reads, writes: [scale, bias]) {
      let norm = BatchNormEstimates(mean: $1[0], variance: $1[1], scale: $1[2], bias: $1[3])
      try $0.foldBatchNorm(norm, epsilon: epsilon, scale: $1[4], bias: $1[5])
    }
  }

  public func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) {
    let reads = [x] + (residual.map { [$0] } ?? [])
    let type = storage(x, "batchNorm")
    for tensor in reads + [y] { require(tensor, x.shape, "batchNorm", type) }
    let perChannel = checked(channels, of: x, "batchNorm")
    let isResidual = residual != nil
    log(
      "batchNorm", detail(x.shape, [(isResidual, "residual"), (relu, "relu")]), reads: perChannel + reads, inPlace: [x],
      writes: [y]
    ) {
      let channels = BatchNormChannels(mean: $1[0], inverseDeviation: $1[1], scale: $1[2], bias: $1[3])
      try $0.batchNorm($1[4], channels, residual: isResidual ? $1[5] : nil, relu: relu, into: $1[isResidual ? 6 : 5])
    }
  }

  public func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) {
    let reads = [dy, x] + (mask.result.map { [$0] } ?? [])
    let writes = [dx] + (dresidual.map { [$0] } ?? [])
    let type = storage(dy, "batchNormGradient")
    for tensor in reads + writes { require(tensor, dy.shape, "batchNormGradient", type) }
    let perChannel = checked(channels, of: x, "batchNormGradient")
    for tensor in [dscale, dbias] { require(tensor, channels.scale.shape, "batchNormGradient") }
    let c = dscale.count
    let (isMasked, isRecomputed, isResidual) = (mask.result != nil, mask.isRecomputed, dresidual != nil)
    log(
      "batchNormGradient", detail(x.shape, [(isResidual, "residual"), (isMasked, "relu"), (isRecomputed, "relu, recomputed")]),
      reads: perChannel + reads, inPlace: [dy, x], writes: writes + [dscale, dbias],
      workspace: .batchNormGradient(rows: dy.count / c, channels: c)
    ) {
      let channels = BatchNormChannels(mean: $1[0], inverseDeviation: $1[1], scale: $1[2], bias: $1[3])
      let first = isMasked ? 7 : 6
      try $0.batchNormGradient(
        $1[4], x: $1[5], mask: isMasked ? .result($1[6]) : isRecomputed ? .recomputed : .none, channels, into: $1[first],
        dscale: $1[$1.count - 2], dbias: $1[$1.count - 1], dresidual: isResidual ? $1[first + 1] : nil)
    }
  }

  func checked(_ all: BatchNormChannels, of x: Tensor, _ operation: String) -> [Tensor] {
    let tensors = [all.mean, all.inverseDeviation, all.scale, all.bias]
    let c = channels(of: x, operation)
    for tensor in tensors { require(tensor, [c], operation) }
    return tensors
  }
}

/// Operations on a device's share of a batch. Only their memory counts: the log lists operations on whole batches.
extension DryRunBackend {
  public func takeMoments(of x: Tensor, moments: Tensor) {
    let c = channels(of: x, "takeMoments")
    require(x, x.shape, "takeMoments", storage(x, "takeMoments"))
    require(moments, [3, c], "takeMoments")
    pass("takeMoments", reads: [x], writes: [moments], workspace: .batchNormStatistics(rows: x.count / c, channels: c))
  }

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor) {
    let type = storage(x, "convolution")
    require(x, geometry.input, "convolution", type)
    require(filter, geometry.filter, "convolution")
    require(y, geometry.output, "convolution", type)
    require(moments, [3, geometry.k], "convolution")
    pass(
      "convolution", reads: [x, filter], writes: [y, moments],
      workspace: .convolution(ConvolutionWork(.forwardWithStatistics, geometry, type)))
  }

  public func mergeMoments(_ moments: Tensor, rows: Int, _ statistics: BatchNormStatistics) {
    let results = [statistics.mean, statistics.inverseDeviation, statistics.runningMean, statistics.runningVariance]
    precondition(moments.shape.rank == 3 && rows > 1, "[mergeMoments] \(moments.shape), \(rows) rows")
    require(moments, [moments.shape[0], 3, statistics.mean.count], "mergeMoments")
    for tensor in results { require(tensor, statistics.mean.shape, "mergeMoments") }
    pass("mergeMoments", reads: [moments], writes: results, workspace: nil)
  }

  public func batchNormGradientSums(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, dresidual: Tensor?
  ) {
    let reads = [dy, x] + (mask.result.map { [$0] } ?? [])
    let results = dresidual.map { [$0] } ?? []
    let type = storage(dy, "batchNormGradientSums")
    for tensor in reads + results { require(tensor, dy.shape, "batchNormGradientSums", type) }
    let perChannel = checked(channels, of: x, "batchNormGradientSums")
    for tensor in [dscale, dbias] { require(tensor, channels.scale.shape, "batchNormGradientSums") }
    pass(
      "batchNormGradientSums", reads: perChannel + reads, inPlace: [dy], writes: results + [dscale, dbias],
      workspace: .batchNormGradient(rows: dy.count / dscale.count, channels: dscale.count))
  }

  public func batchNormInputGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, rows: Int,
    into dx: Tensor
  ) {
    let reads = [dy, x] + (mask.result.map { [$0] } ?? [])
    let type = storage(dy, "batchNormInputGradient")
    for tensor in reads + [dx] { require(tensor, dy.shape, "batchNormInputGradient", type) }
    let perChannel = checked(channels, of: x, "batchNormInputGradient")
    for tensor in [dscale, dbias] { require(tensor, channels.scale.shape, "batchNormInputGradient") }
    pass("batchNormInputGradient", reads: perChannel + reads + [dscale, dbias], inPlace: [dy, x], writes: [dx], workspace: nil)
  }
}
