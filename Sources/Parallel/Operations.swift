import Compute

/// Operations that treat each image on its own: every device computes its share.
extension ParallelBackend {
  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws {
    try each(reads: [x, filter], writes: [y]) { device, part, _ in
      try device.convolution(part(x), filter: part(filter), geometry.batch(of: part(x)), into: part(y))
    }
  }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) throws {
    precondition(images(of: x) != nil, "[convolution] filters are prepared for shares of a batch")
    let reads = [x, epilogue.scale, epilogue.bias] + (epilogue.residual.map { [$0] } ?? [])
    try each(reads: reads, writes: [y]) { device, part, _ in
      let geometry = geometry.batch(of: part(x))
      let epilogue = ConvolutionEpilogue(
        scale: part(epilogue.scale), bias: part(epilogue.bias), residual: epilogue.residual.map(part), relu: epilogue.relu)
      try device.convolution(
        part(x), prepared: own(part(prepared), device.plannedFilterCount(geometry, x.type)), geometry, epilogue, into: part(y))
    }
  }

  /// Prepares the filter on each device for the geometry of its share. The forms differ; the memory suffices for the largest of
  /// them.
  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws {
    let shares = split.shares(of: geometry.n)
    try each(reads: [filter], writes: [prepared]) { device, part, index in
      if shares[index].isEmpty { return }
      let geometry = geometry.batch(of: shares[index].count)
      try device.prepareFilter(
        part(filter), geometry, storage, into: own(part(prepared), device.preparedFilterCount(geometry, storage)))
    }
  }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int {
    try largestShare(of: geometry) { device, share in try device.preparedFilterCount(share, storage) }
  }

  public func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    largestShare(of: geometry) { device, share in device.plannedFilterCount(share, storage) }
  }

  /// Returns the largest count that a device needs for its share of a batch.
  private func largestShare(
    of geometry: Conv2D, _ count: (any ShardBackend, Conv2D) throws -> Int
  ) rethrows -> Int {
    try zip(members, split.shares(of: geometry.n)).map { device, share in
      share.isEmpty ? 0 : try count(device, geometry.batch(of: share.count))
    }.max() ?? 0
  }

  /// Returns the part of a prepared filter's memory that one device's form occupies.
  private func own(_ prepared: Tensor, _ count: Int) -> Tensor {
    Tensor(shape: [count], type: prepared.type, storage: prepared.storage)
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) throws {
    try each(reads: [dy, filter] + (accumulate ? [dx] : []), writes: [dx]) { device, part, _ in
      try device.convolutionInputGradient(
        part(dy), filter: part(filter), geometry.batch(of: part(dy)), accumulate: accumulate, into: part(dx))
    }
  }

  public func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) throws {
    try each(reads: [x] + (residual.map { [$0] } ?? []) + channels.all, writes: [y]) { device, part, _ in
      try device.batchNorm(part(x), channels.map(part), residual: residual.map(part), relu: relu, into: part(y))
    }
  }

  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) throws {
    try each(reads: [x], writes: [y, positions]) { device, part, _ in
      try device.maxPool(part(x), geometry.batch(of: part(x)), into: part(y), positions: part(positions))
    }
  }

  public func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) throws {
    try each(reads: [x], writes: [y]) { device, part, _ in
      try device.pool(part(x), geometry.batch(of: part(x).shape[0]), into: part(y))
    }
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) throws {
    try each(reads: [dy, positions], writes: [dx]) { device, part, _ in
      try device.maxPoolGradient(part(dy), positions: part(positions), geometry.batch(of: part(dy)), into: part(dx))
    }
  }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) throws {
    try each(reads: [x], writes: [y]) { device, part, _ in try device.globalAveragePool(part(x), into: part(y)) }
  }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) throws {
    try each(reads: [dy], writes: [dx]) { device, part, _ in try device.globalAveragePoolGradient(part(dy), into: part(dx)) }
  }

  public func addBias(_ bias: Tensor, to y: Tensor) throws {
    try each(reads: [bias, y], writes: [y]) { device, part, _ in try device.addBias(part(bias), to: part(y)) }
  }

  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws {
    try each(reads: [a, b], writes: [y]) { device, part, _ in try device.add(part(a), part(b), relu: relu, into: part(y)) }
  }

  public func relu(_ x: Tensor, into y: Tensor) throws {
    try each(reads: [x], writes: [y]) { device, part, _ in try device.relu(part(x), into: part(y)) }
  }

  public func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) throws {
    try each(reads: [x], writes: [y]) { device, part, _ in
      try device.clip(part(x), lower: lower, upper: upper, into: part(y))
    }
  }

  /// Rearranges replicated tensors only, since a copy from anywhere to anywhere may cross the devices' shares.
  public func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) throws {
    precondition(images(of: x) == nil && images(of: y) == nil, "[rearrange] a batch is on several devices")
    try each(reads: [x, y], writes: [y]) { device, part, _ in try device.rearrange(part(x), copy, into: part(y)) }
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws {
    try each(reads: [dy, y], writes: [dx]) { device, part, _ in
      try device.reluGradient(part(dy), y: part(y), into: part(dx))
    }
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) throws {
    try each(reads: [x], writes: [y]) { device, part, _ in
      try device.padShortcut(part(x), stride: stride, into: part(y))
    }
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) throws {
    try each(reads: [dy] + (accumulate ? [dx] : []), writes: [dx]) { device, part, _ in
      try device.padShortcutGradient(part(dy), stride: stride, accumulate: accumulate, into: part(dx))
    }
  }

  public func softmax(_ logits: Tensor, into probabilities: Tensor) throws {
    try each(reads: [logits], writes: [probabilities]) { device, part, _ in
      try device.softmax(part(logits), into: part(probabilities))
    }
  }

  public func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) throws {
    try each(reads: [images, labels, plan, channelMap], writes: [x, batchLabels]) { device, part, _ in
      try device.gatherBatch(
        images: part(images), labels: part(labels), plan: part(plan), channelMap: part(channelMap), into: part(x),
        batchLabels: part(batchLabels))
    }
  }
}

/// Sums over all images, and the operations that need them.
extension ParallelBackend {
  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws {
    try each(reads: [x, dy], writes: [], sums: [dw]) { device, part, _ in
      try device.convolutionFilterGradient(part(x), part(dy), geometry.batch(of: part(x)), into: part(dw))
    }
  }

  /// Multiplies matrices. If they are split, c = a·b and c = a·bᵀ treat the rows of a and c as images, and c = aᵀ·b is a
  /// sum over the images.
  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws {
    let isSum = images(of: a) != nil && images(of: b) != nil
    precondition(images(of: a) == nil || (ta == isSum && !(isSum && tb)), "[multiply] the rows of a batch are its images")
    try each(reads: [a, b], writes: isSum ? [] : [c], sums: isSum ? [c] : []) { device, part, _ in
      try device.multiply(part(a), transposed: ta, part(b), transposed: tb, into: part(c))
    }
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) throws {
    try each(reads: [x], writes: [], sums: [sum]) { device, part, _ in try device.sumRows(part(x), into: part(sum)) }
  }

  public func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?
  ) throws {
    let batch = images(of: logits)
    if batch != nil && !isSum(metrics) {
      // Each device adds to its own summand from now on.
      try settle(metrics, onAll: false)
      for index in members.indices.dropFirst() { try members[index].fill(part(of: metrics, index), with: 0) }
    }
    let reads = [logits, labels] + (lossScale.map { [$0] } ?? []) + (batch == nil ? [metrics] : [])
    try each(reads: reads, writes: (gradient.map { [$0] } ?? [])) { device, part, _ in
      try device.crossEntropy(
        part(logits), labels: part(labels), smoothing: smoothing, metrics: part(metrics), gradient: gradient.map(part),
        lossScale: lossScale.map(part), images: logits.shape[0])
    }
    set(batch == nil ? .equal : .summands, metrics)
  }

  // MARK: Batch normalization

  public func batchNormStatistics(
    _ x: Tensor, epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
    runningVariance: Tensor
  ) throws {
    let statistics = BatchNormStatistics(
      epsilon: epsilon, momentum: momentum, mean: mean, inverseDeviation: inverseDeviation, runningMean: runningMean,
      runningVariance: runningVariance)
    try take(statistics, of: x, reads: [x]) { device, part, moments in try device.takeMoments(of: part(x), moments: moments) }
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) throws {
    try take(statistics, of: y, reads: [x, filter]) { device, part, moments in
      try device.convolution(
        part(x), filter: part(filter), geometry.batch(of: part(x)), into: part(y), moments: moments)
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

  public func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) throws {
    try onFirst(reads: [variance], writes: [inverseDeviation]) { device, part in
      try device.inverseDeviation(ofVariance: part(variance), epsilon: epsilon, into: part(inverseDeviation))
    }
  }

  public func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor) throws {
    try onFirst(reads: [norm.mean, norm.variance, norm.scale, norm.bias], writes: [scale, bias]) { device, part in
      let norm = BatchNormEstimates(
        mean: part(norm.mean), variance: part(norm.variance), scale: part(norm.scale), bias: part(norm.bias))
      try device.foldBatchNorm(norm, epsilon: epsilon, scale: part(scale), bias: part(bias))
    }
  }

  public func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) throws {
    let reads = [dy, x] + (mask.result.map { [$0] } ?? []) + channels.all
    try each(reads: reads, writes: dresidual.map { [$0] } ?? [], sums: [dscale, dbias]) { device, part, _ in
      try device.batchNormGradientSums(
        part(dy), x: part(x), mask: mask.map(part), channels.map(part), dscale: part(dscale), dbias: part(dbias),
        dresidual: dresidual.map(part))
    }
    // The parameters' gradients stay summands, but dx needs the sums now.
    let sums = try [dscale, dbias].map(readLater).map { try upload($0.wait()) }
    // If the masked gradient was stored, neither dy nor the mask is needed any more.
    let (g, mask) = dresidual.map { ($0, .none) } ?? (dy, mask)
    try each(reads: [g, x] + (mask.result.map { [$0] } ?? []) + channels.all + sums, writes: [dx]) { device, part, _ in
      try device.batchNormInputGradient(
        part(g), x: part(x), mask: mask.map(part), channels.map(part), dscale: part(sums[0]), dbias: part(sums[1]),
        rows: x.count / dscale.count, into: part(dx))
    }
  }

  // MARK: Optimizer

  public func updateLossScale(_ lossScale: Tensor, gradients: Tensor) throws {
    try onFirst(reads: [gradients], writes: [lossScale]) { device, part in
      try device.updateLossScale(part(lossScale), gradients: part(gradients))
    }
  }

  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) throws {
    try onFirst(reads: [gradients] + use.tensors, writes: [weights, velocity]) { device, part in
      try device.sgdStep(part(weights), gradients: part(gradients), velocity: part(velocity), rule, use.map(part))
    }
    // Copies all weights at once, not layer by layer on their next use.
    try settle(weights, onAll: true)
  }

  public func adamWStep(
    _ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse
  ) throws {
    try onFirst(reads: [gradients] + use.tensors, writes: [weights, mean, square]) { device, part in
      try device.adamWStep(
        part(weights), gradients: part(gradients), mean: part(mean), square: part(square), rule, use.map(part))
    }
    try settle(weights, onAll: true)
  }

  public func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) throws {
    try onFirst(reads: [x], writes: [norms]) { device, part in
      try device.squaredNorm(part(x), into: part(norms), at: index)
    }
  }

  public func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) throws {
    try onFirst(reads: [x], writes: [average]) { device, part in
      try device.moveAverage(part(average), toward: part(x), by: share)
    }
  }
}

extension Conv2D {
  fileprivate func batch(of x: Tensor) -> Conv2D { batch(of: x.shape[0]) }
}

extension Pool2D {
  fileprivate func batch(of x: Tensor) -> Pool2D {
    Pool2D(input: [x.shape[0], h, w, c], window: window, stride: stride, padding: padding)
  }
}

extension BatchNormChannels {
  fileprivate var all: [Tensor] { [mean, inverseDeviation, scale, bias] }

  fileprivate func map(_ transform: (Tensor) -> Tensor) -> BatchNormChannels {
    BatchNormChannels(
      mean: transform(mean), inverseDeviation: transform(inverseDeviation), scale: transform(scale), bias: transform(bias))
  }
}

extension ReLUMask {
  fileprivate func map(_ transform: (Tensor) -> Tensor) -> ReLUMask {
    if let result { .result(transform(result)) } else { self }
  }
}
