/// Batch normalization (Ioffe & Szegedy 2015).
public protocol BatchNormOperations {
  /// Computes statistics of each channel over all other dimensions of x [..., C], which has M = count / C values per channel.
  ///
  /// Writes mean = Σx/M and inverseDeviation = 1/√(Σ(x−mean)²/M + epsilon), both [C], and updates the running statistics
  /// as PyTorch does: running ← (1−momentum)·running + momentum·new, where the variance has the unbiased divisor M−1.
  /// - Precondition: M > 1.
  func batchNormStatistics(_ x: Tensor, _ statistics: BatchNormStatistics) throws
  /// Computes 1/√(variance + epsilon), both [C]: turns running variances into an operand of
  /// ``batchNorm(_:_:residual:relu:into:)``.
  func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) throws
  /// Folds batch normalization with known statistics into one factor and one summand per channel, all [C]:
  /// foldedScale = scale/√(variance + epsilon), foldedBias = bias − mean·foldedScale.
  func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale foldedScale: Tensor, bias foldedBias: Tensor) throws
  /// Computes y = scale·(x−mean)·inverseDeviation + bias, plus residual, then max(·, 0) if relu is true. y may be x.
  func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) throws
  /// Computes the gradients of ``batchNorm(_:_:residual:relu:into:)`` with statistics of the batch itself.
  ///
  /// g is dy where ReLU let the value pass, else 0. The results are dbias = Σg, dscale = Σg·x̂,
  /// dx = scale·inverseDeviation·(g − dbias/M − x̂·dscale/M), and dresidual = g. dresidual may be dy; dx may be dy or x.
  func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?) throws
}

extension OperationContract {
  /// Contract of ``BatchNormOperations/batchNormStatistics(_:_:)``.
  package static func batchNormStatistics(_ x: Tensor, _ statistics: BatchNormStatistics) -> Self {
    let c = channels(of: x, "batchNormStatistics")
    require(x.count > c, "batchNormStatistics", "\(x.shape) has one value a channel, two are due")
    let (epsilon, momentum) = (statistics.epsilon, statistics.momentum)
    return Self(
      "batchNormStatistics", "\(x.shape)", workspace: .batchNormStatistics(rows: x.count / c, channels: c),
      [.read("x", x, x.shape, .activation)] + statistics.updates([c]) + statistics.writes([c])
    ) {
      try $0.batchNormStatistics($1["x"], $1.statistics(epsilon: epsilon, momentum: momentum))
    }
  }

  /// Contract of ``BatchNormOperations/inverseDeviation(ofVariance:epsilon:into:)``.
  package static func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) -> Self {
    let shape: Shape = [variance.count]
    return Self(
      "inverseDeviation", "\(variance.count)",
      [
        .read("variance", variance, shape, .scalar, .onFirstDevice),
        .write("inverseDeviation", inverseDeviation, shape, .scalar, .onFirstDevice),
      ]
    ) { try $0.inverseDeviation(ofVariance: $1["variance"], epsilon: epsilon, into: $1["inverseDeviation"]) }
  }

  /// Contract of ``BatchNormOperations/foldBatchNorm(_:epsilon:scale:bias:)``.
  package static func foldBatchNorm(
    _ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor
  ) -> Self {
    let shape: Shape = [norm.mean.count]
    let sources = [("mean", norm.mean), ("variance", norm.variance), ("scale", norm.scale), ("bias", norm.bias)]
    return Self(
      "foldBatchNorm", "\(norm.mean.count)",
      sources.map { .read($0, $1, shape, .scalar, .onFirstDevice) }
        + [("foldedScale", scale), ("foldedBias", bias)].map { .write($0, $1, shape, .scalar, .onFirstDevice) }
    ) {
      let norm = BatchNormEstimates(mean: $1["mean"], variance: $1["variance"], scale: $1["scale"], bias: $1["bias"])
      try $0.foldBatchNorm(norm, epsilon: epsilon, scale: $1["foldedScale"], bias: $1["foldedBias"])
    }
  }

  /// Contract of ``BatchNormOperations/batchNorm(_:_:residual:relu:into:)``.
  package static func batchNorm(
    _ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor
  ) -> Self {
    let c = self.channels(of: x, "batchNorm")
    let data: [Operand] =
      [.read("x", x, x.shape, .activation)] + (residual.map { [.read("residual", $0, x.shape, .activation)] } ?? [])
    return Self(
      "batchNorm", x.shape.description([(residual != nil, "residual"), (relu, "relu")]),
      channels.reads(c) + data + [.write("y", y, x.shape, .activation, replaces: ["x"])]
    ) { try $0.batchNorm($1["x"], $1.channels, residual: $1.optional("residual"), relu: relu, into: $1["y"]) }
  }

  /// Contract of ``BatchNormOperations/batchNormGradient(_:x:mask:_:into:dscale:dbias:dresidual:)``.
  package static func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) -> Self {
    let c = self.channels(of: x, "batchNormGradient")
    let isRecomputed = mask.isRecomputed
    let options = [
      (dresidual != nil, "residual"), (mask.result != nil, "relu"), (isRecomputed, "relu, recomputed"),
    ]
    return Self(
      "batchNormGradient", x.shape.description(options),
      workspace: .batchNormGradient(rows: x.count / c, channels: c),
      masked(dy, x, mask, channels, c)
        + [.write("dx", dx, x.shape, .activation, replaces: ["dy", "x"])] + maskedGradient(dresidual, x)
        + [("dscale", dscale), ("dbias", dbias)].map { .write($0, $1, [c], .scalar, .sumOverImages) }
    ) {
      try $0.batchNormGradient(
        $1["dy"], x: $1["x"], mask: $1.mask(isRecomputed: isRecomputed), $1.channels, into: $1["dx"], dscale: $1["dscale"],
        dbias: $1["dbias"], dresidual: $1.optional("dresidual"))
    }
  }

  /// Returns the last dimension of x [..., C].
  static func channels(of x: Tensor, _ name: String) -> Int {
    require(x.shape.rank > 0 && x.count > 0, name, "\(x.shape) has no channels")
    return x.shape[x.shape.rank - 1]
  }

  /// Returns the operands from which gradients compute the masked gradient g and the normalized values.
  static func masked(_ dy: Tensor, _ x: Tensor, _ mask: ReLUMask, _ channels: BatchNormChannels, _ c: Int) -> [Operand] {
    channels.reads(c) + [.read("dy", dy, x.shape, .activation), .read("x", x, x.shape, .activation)]
      + (mask.result.map { [.read("y", $0, x.shape, .activation)] } ?? [])
  }

  /// Returns the operand to which a gradient writes the masked gradient g, if it is wanted.
  static func maskedGradient(_ dresidual: Tensor?, _ x: Tensor) -> [Operand] {
    dresidual.map { [.write("dresidual", $0, x.shape, .activation, replaces: ["dy"])] } ?? []
  }
}

extension BatchNormChannels {
  func reads(_ c: Int) -> [OperationContract.Operand] {
    [("mean", mean), ("inverseDeviation", inverseDeviation), ("scale", scale), ("bias", bias)].map { .read($0, $1, [c]) }
  }
}

extension BatchNormStatistics {
  func updates(_ shape: Shape) -> [OperationContract.Operand] {
    [("runningMean", runningMean), ("runningVariance", runningVariance)].map { .update($0, $1, shape, .scalar, .onFirstDevice) }
  }

  func writes(_ shape: Shape) -> [OperationContract.Operand] {
    [("mean", mean), ("inverseDeviation", inverseDeviation)].map { .write($0, $1, shape) }
  }
}

extension Operands {
  /// Operands `mean`, `inverseDeviation`, `scale` and `bias`.
  package var channels: BatchNormChannels {
    BatchNormChannels(mean: self["mean"], inverseDeviation: self["inverseDeviation"], scale: self["scale"], bias: self["bias"])
  }

  /// Returns the operands `mean`, `inverseDeviation`, `runningMean` and `runningVariance`.
  package func statistics(epsilon: Double, momentum: Double) -> BatchNormStatistics {
    BatchNormStatistics(
      epsilon: epsilon, momentum: momentum, mean: self["mean"], inverseDeviation: self["inverseDeviation"],
      runningMean: self["runningMean"], runningVariance: self["runningVariance"])
  }

  /// Returns the mask by the operand `y` if there is one.
  func mask(isRecomputed: Bool) -> ReLUMask {
    if let y = optional("y") { .result(y) } else { isRecomputed ? .recomputed : .none }
  }
}

extension ContractBackend {
  public func batchNormStatistics(_ x: Tensor, _ statistics: BatchNormStatistics) throws {
    try perform(.batchNormStatistics(x, statistics))
  }

  public func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) throws {
    try perform(.inverseDeviation(ofVariance: variance, epsilon: epsilon, into: inverseDeviation))
  }

  public func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor) throws {
    try perform(.foldBatchNorm(norm, epsilon: epsilon, scale: scale, bias: bias))
  }

  public func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) throws {
    try perform(.batchNorm(x, channels, residual: residual, relu: relu, into: y))
  }

  public func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) throws {
    try perform(
      .batchNormGradient(dy, x: x, mask: mask, channels, into: dx, dscale: dscale, dbias: dbias, dresidual: dresidual))
  }
}
