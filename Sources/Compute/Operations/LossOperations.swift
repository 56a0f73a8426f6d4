/// Softmax and the loss.
public protocol LossOperations {
  /// Computes the softmax of each row. logits and probabilities [N,K].
  func softmax(_ logits: Tensor, into probabilities: Tensor) throws
  /// Computes softmax cross-entropy with label smoothing ε as PyTorch defines it: the target is (1−ε) at the label plus ε/K
  /// everywhere.
  ///
  /// logits [N,K], labels int32 [N]. For mixed images, labels are int32 [N,3]: (first, second, s). The target is then s/2^24 of
  /// the first label's target plus the rest of the second label's, and the counts are weighted in the same way.
  ///
  /// Adds to metrics [3] the sum of the N losses, the number of rows whose label is the largest logit, and the number of rows
  /// whose label is among the five largest logits. Of equal logits, the lower class index ranks first; a row with a NaN counts as
  /// neither. gradient [N,K], if given, is that of the *mean* loss, multiplied by ``LossScale/next`` of the loss scale, if that
  /// is given.
  func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?) throws
}

extension OperationContract {
  /// Contract of ``LossOperations/softmax(_:into:)``.
  package static func softmax(_ logits: Tensor, into probabilities: Tensor) -> Self {
    require(logits, rank: 2, "softmax", "logits")
    return Self(
      "softmax", "\(logits.shape)",
      [
        .read("logits", logits, logits.shape, .scalar, .perImage),
        .write("probabilities", probabilities, logits.shape, .scalar, .perImage),
      ]
    ) { try $0.softmax($1["logits"], into: $1["probabilities"]) }
  }

  /// Contract of ``LossOperations/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)``.
  package static func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?
  ) -> Self {
    require(logits, rank: 2, "crossEntropy", "logits")
    let isMixed = labels.shape.rank == 2
    let options = [(gradient != nil, "gradient"), (lossScale != nil, "scaled"), (isMixed, "mixed")]
    let n = logits.shape[0]
    return Self(
      "crossEntropy", logits.shape.description(options), workspace: .crossEntropy(rows: n),
      [
        .read("logits", logits, logits.shape, .scalar, .perImage),
        .read("labels", labels, isMixed ? [n, BatchPlan.labelColumns] : [n], .int32, .perImage),
      ] + (lossScale.map { [.read("lossScale", $0, [LossScale.count])] } ?? [])
        + [.update("metrics", metrics, [3], .scalar, .sumOverImages)]
        + (gradient.map { [.write("gradient", $0, logits.shape, .scalar, .perImage)] } ?? [])
    ) {
      try $0.crossEntropy(
        $1["logits"], labels: $1["labels"], smoothing: smoothing, metrics: $1["metrics"], gradient: $1.optional("gradient"),
        lossScale: $1.optional("lossScale"))
    }
  }
}

extension ContractBackend {
  public func softmax(_ logits: Tensor, into probabilities: Tensor) throws {
    try perform(.softmax(logits, into: probabilities))
  }
}

extension ContractBackend where Self: ShardBackend {
  /// Performs the whole operation: the number of images of the batch changes neither memory nor work.
  public func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?, images: Int
  ) throws {
    try perform(
      .crossEntropy(
        logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale))
  }
}
