/// Contracts of the steps into which ``ShardBackend`` divides operations over all images.
extension OperationContract {
  /// Contract of ``ShardBackend/takeMoments(of:moments:)``.
  package static func takeMoments(of x: Tensor, moments: Tensor) -> Self {
    let c = channels(of: x, "takeMoments")
    return Self(
      "takeMoments", "\(x.shape)", workspace: .batchNormStatistics(rows: x.count / c, channels: c),
      [.read("x", x, x.shape, .activation), .write("moments", moments, [3, c])]
    ) { try $0.sharding.takeMoments(of: $1["x"], moments: $1["moments"]) }
  }

  /// Contract of ``ShardBackend/mergeMoments(_:rows:_:)``.
  package static func mergeMoments(_ moments: Tensor, rows: Int, _ statistics: BatchNormStatistics) -> Self {
    require(moments, rank: 3, "mergeMoments", "moments")
    require(rows > 1, "mergeMoments", "\(rows) value a channel, two are due")
    let channels: Shape = [statistics.mean.count]
    let (epsilon, momentum) = (statistics.epsilon, statistics.momentum)
    return Self(
      "mergeMoments", "\(moments.shape)",
      [.read("moments", moments, [moments.shape[0], 3, channels.count])] + statistics.updates(channels)
        + statistics.writes(channels)
    ) { try $0.sharding.mergeMoments($1["moments"], rows: rows, $1.statistics(epsilon: epsilon, momentum: momentum)) }
  }

  /// Contract of ``ShardBackend/batchNormGradientSums(_:x:mask:_:dscale:dbias:dresidual:)``.
  package static func batchNormGradientSums(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, dresidual: Tensor?
  ) -> Self {
    let c = self.channels(of: x, "batchNormGradientSums")
    let isRecomputed = mask.isRecomputed
    return Self(
      "batchNormGradientSums", "\(x.shape)", workspace: .batchNormGradient(rows: x.count / c, channels: c),
      masked(dy, x, mask, channels, c) + maskedGradient(dresidual, x)
        + [("dscale", dscale), ("dbias", dbias)].map { .write($0, $1, [c], .scalar, .sumOverImages) }
    ) {
      try $0.sharding.batchNormGradientSums(
        $1["dy"], x: $1["x"], mask: $1.mask(isRecomputed: isRecomputed), $1.channels, dscale: $1["dscale"],
        dbias: $1["dbias"], dresidual: $1.optional("dresidual"))
    }
  }

  /// Contract of ``ShardBackend/batchNormInputGradient(_:x:mask:_:dscale:dbias:rows:into:)``.
  package static func batchNormInputGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, rows: Int,
    into dx: Tensor
  ) -> Self {
    let c = self.channels(of: x, "batchNormInputGradient")
    let isRecomputed = mask.isRecomputed
    return Self(
      "batchNormInputGradient", "\(x.shape)",
      masked(dy, x, mask, channels, c) + [.read("dscale", dscale, [c]), .read("dbias", dbias, [c])]
        + [.write("dx", dx, x.shape, .activation, replaces: ["dy", "x"])]
    ) {
      try $0.sharding.batchNormInputGradient(
        $1["dy"], x: $1["x"], mask: $1.mask(isRecomputed: isRecomputed), $1.channels, dscale: $1["dscale"],
        dbias: $1["dbias"], rows: rows, into: $1["dx"])
    }
  }
}

extension Backend {
  /// This backend as one that computes shares of batches.
  /// - Precondition: it is one.
  var sharding: any ShardBackend {
    guard let backend = self as? any ShardBackend else { preconditionFailure("[\(name)] computes no shares of batches") }
    return backend
  }
}

extension ContractBackend where Self: ShardBackend {
  public func takeMoments(of x: Tensor, moments: Tensor) throws { try perform(.takeMoments(of: x, moments: moments)) }

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor) throws {
    try perform(.convolution(x, filter: filter, geometry, into: y, moments: moments))
  }

  public func mergeMoments(_ moments: Tensor, rows: Int, _ statistics: BatchNormStatistics) throws {
    try perform(.mergeMoments(moments, rows: rows, statistics))
  }

  public func batchNormGradientSums(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, dresidual: Tensor?
  ) throws {
    try perform(.batchNormGradientSums(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, dresidual: dresidual))
  }

  public func batchNormInputGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, rows: Int,
    into dx: Tensor
  ) throws {
    try perform(
      .batchNormInputGradient(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, rows: rows, into: dx))
  }
}
