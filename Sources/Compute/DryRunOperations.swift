/// The operations of a dry run: the shapes that each one promises, and its multiply-accumulates.
extension DryRunBackend {
  /// Requires a tensor of this shape, of the backend's scalar type unless another is named.
  private func require(_ tensor: Tensor, _ shape: Shape, _ operation: String, _ type: DataType? = nil) {
    let type = type ?? scalar
    precondition(
      tensor.shape == shape && tensor.type == type,
      "[\(operation)] \(tensor.shape) of \(tensor.type) where \(shape) of \(type) is due")
  }

  /// The last dimension of x [..., C].
  private func channels(of x: Tensor, _ operation: String) -> Int {
    guard let c = x.shape.dimensions.last else { preconditionFailure("[\(operation)] a scalar has no channels") }
    return c
  }

  // MARK: Convolution

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) {
    require(x, geometry.input, "convolution")
    require(filter, geometry.filter, "convolution")
    require(y, geometry.output, "convolution")
    log(
      "convolution", reads: [x, filter], writes: [y], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forward, geometry)))
  }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) {
    require(x, geometry.input, "convolution")
    require(prepared, [preparedFilterCount(geometry)], "convolution")
    for tensor in [y] + (epilogue.residual.map { [$0] } ?? []) { require(tensor, geometry.output, "convolution") }
    for tensor in [epilogue.scale, epilogue.bias] { require(tensor, [geometry.k], "convolution") }
    let reads = [x, prepared, epilogue.scale, epilogue.bias] + (epilogue.residual.map { [$0] } ?? [])
    log(
      "convolution", reads: reads, writes: [y], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.inference, geometry)))
  }

  public func preparedFilterCount(_ geometry: Conv2D) -> Int {
    modelled?.preparedFilterCount(geometry) ?? geometry.filter.count
  }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, into prepared: Tensor) {
    require(filter, geometry.filter, "prepareFilter")
    require(prepared, [preparedFilterCount(geometry)], "prepareFilter")
    log("prepareFilter", reads: [filter], writes: [prepared])
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) {
    require(dy, geometry.output, "convolutionInputGradient")
    require(filter, geometry.filter, "convolutionInputGradient")
    require(dx, geometry.input, "convolutionInputGradient")
    log(
      "convolutionInputGradient", reads: [dy, filter], updates: accumulate ? [dx] : [], writes: accumulate ? [] : [dx],
      macs: geometry.macs, workspace: .convolution(ConvolutionWork(.inputGradient, geometry, accumulates: accumulate)))
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) {
    require(x, geometry.input, "convolutionFilterGradient")
    require(dy, geometry.output, "convolutionFilterGradient")
    require(dw, geometry.filter, "convolutionFilterGradient")
    log(
      "convolutionFilterGradient", reads: [x, dy], writes: [dw], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.filterGradient, geometry)))
  }

  // MARK: Batch normalisation

  public func batchNormStatistics(
    _ x: Tensor, epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
    runningVariance: Tensor
  ) {
    let c = channels(of: x, "batchNormStatistics")
    require(x, x.shape, "batchNormStatistics")
    precondition(x.count > c, "[batchNormStatistics] \(x.shape) has one value a channel, two are due")
    for tensor in [mean, inverseDeviation, runningMean, runningVariance] { require(tensor, [c], "batchNormStatistics") }
    log(
      "batchNormStatistics", reads: [x], updates: [runningMean, runningVariance], writes: [mean, inverseDeviation],
      workspace: .batchNorm(rows: x.count / c, channels: c))
  }

  public func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) {
    require(variance, [variance.count], "inverseDeviation")
    require(inverseDeviation, variance.shape, "inverseDeviation")
    log("inverseDeviation", reads: [variance], writes: [inverseDeviation])
  }

  public func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor) {
    let reads = [norm.mean, norm.variance, norm.scale, norm.bias]
    for tensor in reads + [scale, bias] { require(tensor, [norm.mean.count], "foldBatchNorm") }
    log("foldBatchNorm", reads: reads, writes: [scale, bias])
  }

  public func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) {
    let reads = [x] + (residual.map { [$0] } ?? [])
    for tensor in reads + [y] { require(tensor, x.shape, "batchNorm") }
    let perChannel = checked(channels, of: x, "batchNorm")
    log("batchNorm", reads: reads + perChannel, inPlace: [x], writes: [y])
  }

  public func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) {
    var reads = [dy, x]
    if case .result(let y) = mask { reads.append(y) }
    let writes = [dx] + (dresidual.map { [$0] } ?? [])
    for tensor in reads + writes { require(tensor, dy.shape, "batchNormGradient") }
    let perChannel = checked(channels, of: x, "batchNormGradient")
    for tensor in [dscale, dbias] { require(tensor, channels.scale.shape, "batchNormGradient") }
    let c = dscale.count
    log(
      "batchNormGradient", reads: reads + perChannel, inPlace: [dy], writes: writes + [dscale, dbias],
      workspace: .batchNorm(rows: dy.count / c, channels: c))
  }

  private func checked(_ all: BatchNormChannels, of x: Tensor, _ operation: String) -> [Tensor] {
    let tensors = [all.mean, all.inverseDeviation, all.scale, all.bias]
    let c = channels(of: x, operation)
    for tensor in tensors { require(tensor, [c], operation) }
    return tensors
  }

  // MARK: Pooling

  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) {
    require(x, geometry.input, "maxPool")
    require(y, geometry.output, "maxPool")
    require(positions, geometry.output, "maxPool", .uint8)
    log("maxPool", reads: [x], writes: [y, positions])
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) {
    require(dy, geometry.output, "maxPoolGradient")
    require(positions, geometry.output, "maxPoolGradient", .uint8)
    require(dx, geometry.input, "maxPoolGradient")
    log("maxPoolGradient", reads: [dy, positions], writes: [dx])
  }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) {
    precondition(x.shape.rank == 4, "[globalAveragePool] \(x.shape)")
    require(x, x.shape, "globalAveragePool")
    require(y, [x.shape[0], x.shape[3]], "globalAveragePool")
    log("globalAveragePool", reads: [x], writes: [y])
  }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) {
    precondition(dx.shape.rank == 4, "[globalAveragePoolGradient] \(dx.shape)")
    require(dx, dx.shape, "globalAveragePoolGradient")
    require(dy, [dx.shape[0], dx.shape[3]], "globalAveragePoolGradient")
    log("globalAveragePoolGradient", reads: [dy], writes: [dx])
  }

  // MARK: Linear algebra and elementwise operations

  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) {
    let product = MatrixProduct(a.shape, transposed: ta, b.shape, transposed: tb)
    require(a, a.shape, "multiply")
    require(b, b.shape, "multiply")
    require(c, [product.m, product.n], "multiply")
    log(
      "multiply", reads: [a, b], writes: [c], macs: product.m * product.n * product.k, workspace: .multiply(product))
  }

  public func addBias(_ bias: Tensor, to y: Tensor) {
    precondition(y.shape.rank == 2, "[addBias] \(y.shape)")
    require(y, y.shape, "addBias")
    require(bias, [y.shape[1]], "addBias")
    log("addBias", reads: [bias], updates: [y], writes: [])
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) {
    precondition(x.shape.rank == 2, "[sumRows] \(x.shape)")
    require(x, x.shape, "sumRows")
    require(sum, [x.shape[1]], "sumRows")
    log("sumRows", reads: [x], writes: [sum])
  }

  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) {
    for tensor in [a, b, y] { require(tensor, a.shape, "add") }
    log("add", reads: [a, b], inPlace: [a, b], writes: [y])
  }

  public func relu(_ x: Tensor, into y: Tensor) {
    for tensor in [x, y] { require(tensor, x.shape, "relu") }
    log("relu", reads: [x], inPlace: [x], writes: [y])
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) {
    for tensor in [dy, y, dx] { require(tensor, dy.shape, "reluGradient") }
    log("reluGradient", reads: [dy, y], inPlace: [dy], writes: [dx])
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) {
    checkPadShortcut(x, stride, y, "padShortcut")
    log("padShortcut", reads: [x], writes: [y])
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) {
    checkPadShortcut(dx, stride, dy, "padShortcutGradient")
    log("padShortcutGradient", reads: [dy], updates: accumulate ? [dx] : [], writes: accumulate ? [] : [dx])
  }

  private func checkPadShortcut(_ x: Tensor, _ stride: Int, _ y: Tensor, _ operation: String) {
    let (from, to) = (x.shape, y.shape)
    precondition(
      from.rank == 4 && to.rank == 4 && stride > 0 && to[3] >= from[3], "[\(operation)] \(from) to \(to), stride \(stride)")
    require(x, from, operation)
    require(y, [from[0], (from[1] + stride - 1) / stride, (from[2] + stride - 1) / stride, to[3]], operation)
  }

  // MARK: Loss, optimiser, batches

  public func softmax(_ logits: Tensor, into probabilities: Tensor) {
    precondition(logits.shape.rank == 2, "[softmax] \(logits.shape)")
    for tensor in [logits, probabilities] { require(tensor, logits.shape, "softmax") }
    log("softmax", reads: [logits], writes: [probabilities])
  }

  public func crossEntropy(_ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?) {
    precondition(logits.shape.rank == 2, "[crossEntropy] \(logits.shape)")
    require(logits, logits.shape, "crossEntropy")
    require(labels, [logits.shape[0]], "crossEntropy", .int32)
    require(metrics, [3], "crossEntropy")
    if let gradient { require(gradient, logits.shape, "crossEntropy") }
    log(
      "crossEntropy", reads: [logits, labels], updates: [metrics], writes: gradient.map { [$0] } ?? [],
      workspace: .crossEntropy(rows: logits.shape[0]))
  }

  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule) {
    for tensor in [weights, gradients, velocity] { require(tensor, weights.shape, "sgdStep") }
    log("sgdStep", reads: [gradients], updates: [weights, velocity], writes: [])
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
    require(x, [n, x.shape[1], x.shape[2], c], "gatherBatch")
    require(batchLabels, [n], "gatherBatch", .int32)
    // Of the data set, only the batch is read.
    log(
      "gatherBatch", reads: [plan, channelMap], writes: [x, batchLabels],
      otherBytes: x.count * images.type.byteCount + batchLabels.byteCount)
  }
}
