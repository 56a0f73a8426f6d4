/// Loss, optimizer and batches in a dry run.
extension DryRunBackend {
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
    let isMixed = labels.shape.rank == 2
    require(labels, isMixed ? [logits.shape[0], BatchPlan.labelColumns] : [logits.shape[0]], "crossEntropy", .int32)
    require(metrics, [3], "crossEntropy")
    if let gradient { require(gradient, logits.shape, "crossEntropy") }
    if let lossScale { require(lossScale, [LossScale.count], "crossEntropy") }
    let (isScaled, hasGradient) = (lossScale != nil, gradient != nil)
    log(
      "crossEntropy", detail(logits.shape, [(hasGradient, "gradient"), (isScaled, "scaled"), (isMixed, "mixed")]),
      reads: [logits, labels] + (lossScale.map { [$0] } ?? []), updates: [metrics], writes: gradient.map { [$0] } ?? [],
      workspace: .crossEntropy(rows: logits.shape[0])
    ) {
      let rest = isScaled ? 3 : 2
      try $0.crossEntropy(
        $1[0], labels: $1[1], smoothing: smoothing, metrics: $1[rest], gradient: hasGradient ? $1[rest + 1] : nil,
        lossScale: isScaled ? $1[2] : nil)
    }
  }

  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) {
    step("sgdStep", weights, gradients, [velocity], use, [(rule.nesterov, "Nesterov"), (rule.adaptation != nil, "adapted")]) {
      try $0.sgdStep($1, gradients: $2, velocity: $3[0], rule, $4)
    }
  }

  public func adamWStep(
    _ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse
  ) {
    step("adamWStep", weights, gradients, [mean, square], use, []) {
      try $0.adamWStep($1, gradients: $2, mean: $3[0], square: $3[1], rule, $4)
    }
  }

  /// Logs one step of any optimizer. `run` gets the weights, their gradients, the optimizer's state and the gradient use.
  private func step(
    _ name: String, _ weights: Tensor, _ gradients: Tensor, _ state: [Tensor], _ use: GradientUse, _ tags: [(Bool, String)],
    _ run: @escaping @Sendable (any Backend, Tensor, Tensor, [Tensor], GradientUse) throws -> Void
  ) {
    for tensor in [weights, gradients] + state { require(tensor, weights.shape, name) }
    if let lossScale = use.lossScale { require(lossScale, [LossScale.count], name) }
    if let norms = use.norms { require(norms, norms.shape, name) }
    let tags = tags + [(use.lossScale != nil, "scaled"), (use.maximumNorm != nil, "clipped")]
    let reads = [gradients] + use.tensors
    let (count, factor, maximum) = (reads.count, use.factor, use.maximumNorm)
    let (isScaled, hasNorms) = (use.lossScale != nil, use.norms != nil)
    log(name, detail(weights.shape, tags), reads: reads, updates: [weights] + state, writes: []) { backend, tensors in
      let use = GradientUse(
        factor: factor, lossScale: isScaled ? tensors[1] : nil, maximumNorm: maximum, norms: hasNorms ? tensors[count - 1] : nil)
      try run(backend, tensors[count], tensors[0], Array(tensors[(count + 1)...]), use)
    }
  }

  public func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) {
    precondition(norms.shape.rank == 1 && index < norms.count, "[squaredNorm] element \(index) of \(norms.shape)")
    for tensor in [x, norms] { require(tensor, tensor.shape, "squaredNorm") }
    log(
      "squaredNorm", "\(x.shape)", reads: [x], updates: [norms], writes: [], workspace: .squaredNorm(count: x.count)
    ) { try $0.squaredNorm($1[0], into: $1[1], at: index) }
  }

  public func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) {
    for tensor in [average, x] { require(tensor, average.shape, "moveAverage") }
    log("moveAverage", "\(x.shape)", reads: [x], updates: [average], writes: []) {
      try $0.moveAverage($1[1], toward: $1[0], by: share)
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
    let isMixed = plan.shape.rank == 2 && plan.shape[1] == BatchPlan.mixedColumns
    require(plan, [n, isMixed ? BatchPlan.mixedColumns : BatchPlan.viewColumns], "gatherBatch", .int32)
    require(channelMap, [2, c], "gatherBatch")
    require(x, [n, x.shape[1], x.shape[2], c], "gatherBatch", storage(x, "gatherBatch"))
    require(batchLabels, isMixed ? [n, BatchPlan.labelColumns] : [n], "gatherBatch", .int32)
    // Only the batch is read, not the whole data set.
    log(
      "gatherBatch", "\(images.type) \(images.shape) → \(x.shape)\(isMixed ? ", mixed" : "")", reads: [plan, channelMap],
      writes: [x, batchLabels],
      partly: ([images, labels], bytes: x.count * images.type.byteCount + batchLabels.byteCount)
    ) {
      try $0.gatherBatch(images: $1[4], labels: $1[5], plan: $1[0], channelMap: $1[1], into: $1[2], batchLabels: $1[3])
    }
  }
}
