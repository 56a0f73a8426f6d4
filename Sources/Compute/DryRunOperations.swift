/// The operations of a dry run: the shapes that each one promises, and its multiply-accumulates.
extension DryRunBackend {
  /// Requires a tensor of this shape, of the backend's scalar type unless another is named.
  private func require(_ tensor: Tensor, _ shape: Shape, _ operation: String, _ type: DataType? = nil) {
    let type = type ?? scalar
    precondition(
      tensor.shape == shape && tensor.type == type,
      "[\(operation)] \(tensor.shape) of \(tensor.type) where \(shape) of \(type) is due")
  }

  /// The type of activations in an operation: that of its first one, ``scalar`` or one of 16 bits.
  private func storage(_ tensor: Tensor, _ operation: String) -> DataType {
    precondition(
      tensor.type == scalar || tensor.type == .float16 || tensor.type == .bfloat16, "[\(operation)] activations of \(tensor.type)"
    )
    return tensor.type
  }

  /// The last dimension of x [..., C].
  private func channels(of x: Tensor, _ operation: String) -> Int {
    guard let c = x.shape.dimensions.last else { preconditionFailure("[\(operation)] a scalar has no channels") }
    return c
  }

  /// A shape and the options that hold.
  private func detail(_ shape: Shape, _ options: [(holds: Bool, name: String)]) -> String {
    ([shape.description] + options.filter(\.holds).map(\.name)).joined(separator: ", ")
  }

  // MARK: Convolution

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) {
    let type = storage(x, "convolution")
    require(x, geometry.input, "convolution", type)
    require(filter, geometry.filter, "convolution")
    require(y, geometry.output, "convolution", type)
    log(
      "convolution", "\(geometry)", reads: [x, filter], writes: [y], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forward, geometry, type))
    ) { try $0.convolution($1[0], filter: $1[1], geometry, into: $1[2]) }
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) {
    let type = storage(x, "convolution")
    require(x, geometry.input, "convolution", type)
    require(filter, geometry.filter, "convolution")
    require(y, geometry.output, "convolution", type)
    precondition(y.count > geometry.k, "[convolution] \(y.shape) has one value a channel, statistics need two")
    let (running, results) = (
      [statistics.runningMean, statistics.runningVariance], [statistics.mean, statistics.inverseDeviation]
    )
    for tensor in running + results { require(tensor, [geometry.k], "convolution") }
    let (epsilon, momentum) = (statistics.epsilon, statistics.momentum)
    log(
      "convolution", "\(geometry), statistics", reads: [x, filter], updates: running, writes: [y] + results, macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forwardWithStatistics, geometry, type))
    ) {
      try $0.convolution(
        $1[0], filter: $1[1], geometry, into: $1[4],
        BatchNormStatistics(
          epsilon: epsilon, momentum: momentum, mean: $1[5], inverseDeviation: $1[6], runningMean: $1[2], runningVariance: $1[3]))
    }
  }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) {
    let type = storage(x, "convolution")
    require(x, geometry.input, "convolution", type)
    require(prepared, [preparedFilterCount(geometry, type)], "convolution")
    for tensor in [y] + (epilogue.residual.map { [$0] } ?? []) { require(tensor, geometry.output, "convolution", type) }
    for tensor in [epilogue.scale, epilogue.bias] { require(tensor, [geometry.k], "convolution") }
    let reads = [x, prepared, epilogue.scale, epilogue.bias] + (epilogue.residual.map { [$0] } ?? [])
    let (isResidual, relu) = (epilogue.residual != nil, epilogue.relu)
    let detail = ([geometry.description, "folded"] + (isResidual ? ["residual"] : []) + (relu ? ["relu"] : [])).joined(
      separator: ", ")
    log(
      "convolution", detail, reads: reads, writes: [y], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.inference, geometry, type))
    ) {
      let epilogue = ConvolutionEpilogue(scale: $1[2], bias: $1[3], residual: isResidual ? $1[4] : nil, relu: relu)
      try $0.convolution($1[0], prepared: $1[1], geometry, epilogue, into: $1[$1.count - 1])
    }
  }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    modelled?.preparedFilterCount(geometry, storage) ?? geometry.filter.count
  }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) {
    require(filter, geometry.filter, "prepareFilter")
    require(prepared, [preparedFilterCount(geometry, storage)], "prepareFilter")
    log("prepareFilter", "\(geometry)", reads: [filter], writes: [prepared]) {
      try $0.prepareFilter($1[0], geometry, storage, into: $1[1])
    }
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) {
    let type = storage(dy, "convolutionInputGradient")
    require(dy, geometry.output, "convolutionInputGradient", type)
    require(filter, geometry.filter, "convolutionInputGradient")
    require(dx, geometry.input, "convolutionInputGradient", type)
    log(
      "convolutionInputGradient", "\(geometry)\(accumulate ? ", added" : "")", reads: [dy, filter],
      updates: accumulate ? [dx] : [], writes: accumulate ? [] : [dx], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.inputGradient, geometry, type, accumulates: accumulate))
    ) { try $0.convolutionInputGradient($1[0], filter: $1[1], geometry, accumulate: accumulate, into: $1[2]) }
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) {
    let type = storage(x, "convolutionFilterGradient")
    require(x, geometry.input, "convolutionFilterGradient", type)
    require(dy, geometry.output, "convolutionFilterGradient", type)
    require(dw, geometry.filter, "convolutionFilterGradient")
    log(
      "convolutionFilterGradient", "\(geometry)", reads: [x, dy], writes: [dw], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.filterGradient, geometry, type))
    ) { try $0.convolutionFilterGradient($1[0], $1[1], geometry, into: $1[2]) }
  }

  // MARK: Batch normalisation

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

  private func checked(_ all: BatchNormChannels, of x: Tensor, _ operation: String) -> [Tensor] {
    let tensors = [all.mean, all.inverseDeviation, all.scale, all.bias]
    let c = channels(of: x, operation)
    for tensor in tensors { require(tensor, [c], operation) }
    return tensors
  }

  // MARK: Pooling

  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) {
    let type = storage(x, "maxPool")
    require(x, geometry.input, "maxPool", type)
    require(y, geometry.output, "maxPool", type)
    require(positions, geometry.output, "maxPool", .uint8)
    log("maxPool", "\(geometry)", reads: [x], writes: [y, positions]) {
      try $0.maxPool($1[0], geometry, into: $1[1], positions: $1[2])
    }
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) {
    let type = storage(dy, "maxPoolGradient")
    require(dy, geometry.output, "maxPoolGradient", type)
    require(positions, geometry.output, "maxPoolGradient", .uint8)
    require(dx, geometry.input, "maxPoolGradient", type)
    // Where less than half a window is padding, this position of every window lies in the image.
    let inside = geometry.padding * geometry.window + geometry.padding
    log("maxPoolGradient", "\(geometry)", reads: [dy, positions], writes: [dx], integers: inside) {
      try $0.maxPoolGradient($1[0], positions: $1[1], geometry, into: $1[2])
    }
  }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) {
    precondition(x.shape.rank == 4, "[globalAveragePool] \(x.shape)")
    require(x, x.shape, "globalAveragePool", storage(x, "globalAveragePool"))
    require(y, [x.shape[0], x.shape[3]], "globalAveragePool")
    log("globalAveragePool", "\(x.shape)", reads: [x], writes: [y]) { try $0.globalAveragePool($1[0], into: $1[1]) }
  }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) {
    precondition(dx.shape.rank == 4, "[globalAveragePoolGradient] \(dx.shape)")
    require(dx, dx.shape, "globalAveragePoolGradient", storage(dx, "globalAveragePoolGradient"))
    require(dy, [dx.shape[0], dx.shape[3]], "globalAveragePoolGradient")
    log("globalAveragePoolGradient", "\(dx.shape)", reads: [dy], writes: [dx]) {
      try $0.globalAveragePoolGradient($1[0], into: $1[1])
    }
  }

  // MARK: Linear algebra and elementwise operations

  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) {
    let product = MatrixProduct(a.shape, transposed: ta, b.shape, transposed: tb)
    require(a, a.shape, "multiply")
    require(b, b.shape, "multiply")
    require(c, [product.m, product.n], "multiply")
    log(
      "multiply", "\(product)", reads: [a, b], writes: [c], macs: product.m * product.n * product.k,
      workspace: .multiply(product)
    ) { try $0.multiply($1[0], transposed: ta, $1[1], transposed: tb, into: $1[2]) }
  }

  public func addBias(_ bias: Tensor, to y: Tensor) {
    precondition(y.shape.rank == 2, "[addBias] \(y.shape)")
    require(y, y.shape, "addBias")
    require(bias, [y.shape[1]], "addBias")
    log("addBias", "\(y.shape)", reads: [bias], updates: [y], writes: []) { try $0.addBias($1[0], to: $1[1]) }
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) {
    precondition(x.shape.rank == 2, "[sumRows] \(x.shape)")
    require(x, x.shape, "sumRows")
    require(sum, [x.shape[1]], "sumRows")
    log("sumRows", "\(x.shape)", reads: [x], writes: [sum]) { try $0.sumRows($1[0], into: $1[1]) }
  }

  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) {
    let type = storage(a, "add")
    for tensor in [a, b, y] { require(tensor, a.shape, "add", type) }
    log("add", detail(y.shape, [(relu, "relu")]), reads: [a, b], inPlace: [a, b], writes: [y]) {
      try $0.add($1[0], $1[1], relu: relu, into: $1[2])
    }
  }

  public func relu(_ x: Tensor, into y: Tensor) {
    let type = storage(x, "relu")
    for tensor in [x, y] { require(tensor, x.shape, "relu", type) }
    log("relu", "\(x.shape)", reads: [x], inPlace: [x], writes: [y]) { try $0.relu($1[0], into: $1[1]) }
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) {
    let type = storage(dy, "reluGradient")
    for tensor in [dy, y, dx] { require(tensor, dy.shape, "reluGradient", type) }
    log("reluGradient", "\(dx.shape)", reads: [dy, y], inPlace: [dy], writes: [dx]) {
      try $0.reluGradient($1[0], y: $1[1], into: $1[2])
    }
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) {
    checkPadShortcut(x, stride, y, "padShortcut")
    log("padShortcut", "\(x.shape) → \(y.shape)", reads: [x], writes: [y]) {
      try $0.padShortcut($1[0], stride: stride, into: $1[1])
    }
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) {
    checkPadShortcut(dx, stride, dy, "padShortcutGradient")
    log(
      "padShortcutGradient", "\(dx.shape) → \(dy.shape)\(accumulate ? ", added" : "")", reads: [dy],
      updates: accumulate ? [dx] : [], writes: accumulate ? [] : [dx]
    ) { try $0.padShortcutGradient($1[0], stride: stride, accumulate: accumulate, into: $1[1]) }
  }

  private func checkPadShortcut(_ x: Tensor, _ stride: Int, _ y: Tensor, _ operation: String) {
    let (from, to) = (x.shape, y.shape)
    precondition(
      from.rank == 4 && to.rank == 4 && stride > 0 && to[3] >= from[3], "[\(operation)] \(from) to \(to), stride \(stride)")
    let type = storage(x, operation)
    require(x, from, operation, type)
    require(y, [from[0], (from[1] + stride - 1) / stride, (from[2] + stride - 1) / stride, to[3]], operation, type)
  }

  // MARK: Loss, optimiser, batches

  public func softmax(_ logits: Tensor, into probabilities: Tensor) {
    precondition(logits.shape.rank == 2, "[softmax] \(logits.shape)")
    for tensor in [logits, probabilities] { require(tensor, logits.shape, "softmax") }
    log("softmax", "\(logits.shape)", reads: [logits], writes: [probabilities]) { try $0.softmax($1[0], into: $1[1]) }
  }

  public func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?, images: Int
  ) {
    precondition(logits.shape.rank == 2, "[crossEntropy] \(logits.shape)")
    require(logits, logits.shape, "crossEntropy")
    require(labels, [logits.shape[0]], "crossEntropy", .int32)
    require(metrics, [3], "crossEntropy")
    if let gradient { require(gradient, logits.shape, "crossEntropy") }
    if let lossScale { require(lossScale, [LossScale.count], "crossEntropy") }
    let (isScaled, hasGradient) = (lossScale != nil, gradient != nil)
    log(
      "crossEntropy", detail(logits.shape, [(hasGradient, "gradient"), (isScaled, "scaled")]),
      reads: [logits, labels] + (lossScale.map { [$0] } ?? []), updates: [metrics], writes: gradient.map { [$0] } ?? [],
      workspace: .crossEntropy(rows: logits.shape[0])
    ) {
      let rest = isScaled ? 3 : 2
      try $0.crossEntropy(
        $1[0], labels: $1[1], smoothing: smoothing, metrics: $1[rest], gradient: hasGradient ? $1[rest + 1] : nil,
        lossScale: isScaled ? $1[2] : nil)
    }
  }

  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, lossScale: Tensor?) {
    for tensor in [weights, gradients, velocity] { require(tensor, weights.shape, "sgdStep") }
    if let lossScale { require(lossScale, [LossScale.count], "sgdStep") }
    let isScaled = lossScale != nil
    log(
      "sgdStep", detail(weights.shape, [(rule.nesterov, "Nesterov"), (isScaled, "scaled")]),
      reads: [gradients] + (lossScale.map { [$0] } ?? []), updates: [weights, velocity], writes: []
    ) {
      try $0.sgdStep(
        $1[$1.count - 2], gradients: $1[0], velocity: $1[$1.count - 1], rule, lossScale: isScaled ? $1[1] : nil)
    }
  }

  public func updateLossScale(_ lossScale: Tensor, gradients: Tensor) {
    require(lossScale, [LossScale.count], "updateLossScale")
    require(gradients, gradients.shape, "updateLossScale")
    log(
      "updateLossScale", "\(gradients.shape)", reads: [gradients], updates: [lossScale], writes: [],
      workspace: .updateLossScale(count: gradients.count)
    ) { try $0.updateLossScale($1[1], gradients: $1[0]) }
  }

  public func gatherBatch(
    images: Tensor, labels: Tensor, plan: Tensor, channelMap: Tensor, into x: Tensor, batchLabels: Tensor
  ) {
    precondition(images.shape.rank == 4 && x.shape.rank == 4, "[gatherBatch] \(images.shape) to \(x.shape)")
    let (m, n, c) = (images.shape[0], x.shape[0], images.shape[3])
    require(images, images.shape, "gatherBatch", images.type == .uint8 ? .uint8 : scalar)
    require(labels, [m], "gatherBatch", .int32)
    require(plan, [n, 4], "gatherBatch", .int32)
    require(channelMap, [2, c], "gatherBatch")
    require(x, [n, x.shape[1], x.shape[2], c], "gatherBatch", storage(x, "gatherBatch"))
    require(batchLabels, [n], "gatherBatch", .int32)
    // Of the data set, only the batch is read.
    log(
      "gatherBatch", "\(images.type) \(images.shape) → \(x.shape)", reads: [plan, channelMap], writes: [x, batchLabels],
      partly: ([images, labels], bytes: x.count * images.type.byteCount + batchLabels.byteCount)
    ) {
      try $0.gatherBatch(images: $1[4], labels: $1[5], plan: $1[0], channelMap: $1[1], into: $1[2], batchLabels: $1[3])
    }
  }
}

/// What a device does with its share of a batch. Only the memory counts: the log lists operations on whole batches.
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
