import Compute

/// Batch normalization over a whole batch: the devices exchange their moments and sums.
extension ParallelBackend {
  package func batchNormStatistics(_ x: Tensor, _ statistics: BatchNormStatistics) throws {
    try take(statistics, of: x, reads: [x]) { device, part, moments in try device.takeMoments(of: part(x), moments: moments) }
  }

  package func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) throws {
    try take(statistics, of: y, reads: [x, filter]) { device, part, moments in
      try device.convolution(
        part(x), filter: part(filter), geometry.batch(of: part(x).shape[0]), into: part(y), moments: moments)
    }
  }

  /// Computes the statistics of a batch from the moments that `moments` takes of each device's share.
  private func take(
    _ statistics: BatchNormStatistics, of batch: Tensor, reads: [Tensor],
    _ moments: (any ShardBackend, @escaping Part, _ moments: Tensor) throws -> Void
  ) throws {
    let c = statistics.mean.count
    precondition(batch.count > c, "[batchNormStatistics] \(batch.shape) has one value a channel, two are due")
    var readbacks: [any Readback] = []
    try each(reads: reads, writes: [batch]) { device, part, _ in
      // If all devices hold the same batch, the first device's moments are those of the whole.
      let share = try device.tensor([3, c])
      try moments(device, part, share)
      if images(of: batch) != nil || readbacks.isEmpty { readbacks.append(try device.readLater(share)) }
    }
    let shares = try readbacks.flatMap { try $0.wait().bytes }
    let merged = try upload(HostTensor(shape: [readbacks.count, 3, c], type: scalar, bytes: shares))
    let (mean, inverse) = (statistics.mean, statistics.inverseDeviation)
    let running = [statistics.runningMean, statistics.runningVariance]
    for tensor in running { try settle(tensor, onAll: false) }
    try each(reads: [merged], writes: [mean, inverse]) { device, part, _ in
      try device.mergeMoments(
        part(merged), rows: batch.count / c,
        BatchNormStatistics(
          epsilon: statistics.epsilon, momentum: statistics.momentum, mean: part(mean), inverseDeviation: part(inverse),
          runningMean: part(running[0]), runningVariance: part(running[1])))
    }
    for tensor in running { set(.leading, tensor) }
  }

  package func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) throws {
    try perform(
      .batchNormGradientSums(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, dresidual: dresidual))
    // The parameters' gradients stay summands, but dx needs the sums now.
    let sums = try [dscale, dbias].map(readLater).map { try upload($0.wait()) }
    // If the masked gradient was stored, neither dy nor the mask is needed any more.
    let (g, mask) = dresidual.map { ($0, .none) } ?? (dy, mask)
    try perform(
      .batchNormInputGradient(
        g, x: x, mask: mask, channels, dscale: sums[0], dbias: sums[1], rows: x.count / dscale.count, into: dx))
  }
}
