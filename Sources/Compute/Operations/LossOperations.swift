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
  /// Sums the class weights w of the labels of a batch: totals [2] = (D, N), with D = Σ_n w[label_n] and the number of images N.
  ///
  /// weights [K], each at least 0. labels int32 [N], or [N,3] for mixed images, of which D has s/2^24·w[first] plus the rest of
  /// w[second].
  func sumClassWeights(_ weights: Tensor, labels: Tensor, into totals: Tensor) throws
  /// Computes softmax cross-entropy with class weights w and label smoothing ε, as PyTorch's `CrossEntropyLoss(weight=w,
  /// label_smoothing=ε, reduction="mean")` does:
  ///
  ///     loss = Σ_n Σ_k w_k·t_nk·(−log p_nk) / D     t_nk = (1−ε)·[k = label_n] + ε/K     D = Σ_n w[label_n]
  ///
  /// The label of a mixed image is s/2^24 of the first label plus the rest of the second one, in t and in D. For a hard label,
  /// this is PyTorch's loss. If all images have the same share, and the second labels are the first ones in another order, as
  /// those of `BatchMixing`, it is the mean of PyTorch's losses for both labels, weighted by their shares.
  ///
  /// logits [N,K] and labels are those of ``crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)``; weights [K]; totals
  /// [2] is the result of ``sumClassWeights(_:labels:into:)`` for these labels. Adds to metrics [3] N times the loss, and the
  /// counts of the unweighted operation. gradient [N,K], if given, is that of the loss, multiplied by ``LossScale/next`` of the
  /// loss scale, if that is given. If D is 0, the loss and its gradient are 0; PyTorch's are NaN.
  func weightedCrossEntropy(
    _ logits: Tensor, labels: Tensor, weights: Tensor, totals: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?,
    lossScale: Tensor?) throws
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

  /// Contract of ``LossOperations/sumClassWeights(_:labels:into:)``.
  package static func sumClassWeights(_ weights: Tensor, labels: Tensor, into totals: Tensor) -> Self {
    require(weights, rank: 1, "sumClassWeights", "weights")
    let (n, isMixed) = (labels.shape[0], labels.shape.rank == 2)
    return Self(
      "sumClassWeights", labels.shape.description([(isMixed, "mixed")]),
      [
        .read("weights", weights, weights.shape),
        .read("labels", labels, isMixed ? [n, BatchPlan.labelColumns] : [n], .int32, .perImage),
        .write("totals", totals, [2], .scalar, .sumOverImages),
      ]
    ) { try $0.sumClassWeights($1["weights"], labels: $1["labels"], into: $1["totals"]) }
  }

  /// Contract of
  /// ``LossOperations/weightedCrossEntropy(_:labels:weights:totals:smoothing:metrics:gradient:lossScale:)``.
  package static func weightedCrossEntropy(
    _ logits: Tensor, labels: Tensor, weights: Tensor, totals: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?,
    lossScale: Tensor?
  ) -> Self {
    require(logits, rank: 2, "weightedCrossEntropy", "logits")
    let isMixed = labels.shape.rank == 2
    let options = [(gradient != nil, "gradient"), (lossScale != nil, "scaled"), (isMixed, "mixed")]
    let (n, k) = (logits.shape[0], logits.shape[1])
    return Self(
      "weightedCrossEntropy", logits.shape.description(options), workspace: .crossEntropy(rows: n),
      [
        .read("logits", logits, logits.shape, .scalar, .perImage),
        .read("labels", labels, isMixed ? [n, BatchPlan.labelColumns] : [n], .int32, .perImage),
        .read("weights", weights, [k]), .read("totals", totals, [2]),
      ] + (lossScale.map { [.read("lossScale", $0, [LossScale.count])] } ?? [])
        + [.update("metrics", metrics, [3], .scalar, .sumOverImages)]
        + (gradient.map { [.write("gradient", $0, logits.shape, .scalar, .perImage)] } ?? [])
    ) {
      try $0.weightedCrossEntropy(
        $1["logits"], labels: $1["labels"], weights: $1["weights"], totals: $1["totals"], smoothing: smoothing,
        metrics: $1["metrics"], gradient: $1.optional("gradient"), lossScale: $1.optional("lossScale"))
    }
  }
}

extension ContractBackend {
  public func sumClassWeights(_ weights: Tensor, labels: Tensor, into totals: Tensor) throws {
    try perform(.sumClassWeights(weights, labels: labels, into: totals))
  }

  public func weightedCrossEntropy(
    _ logits: Tensor, labels: Tensor, weights: Tensor, totals: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?,
    lossScale: Tensor?
  ) throws {
    try perform(
      .weightedCrossEntropy(
        logits, labels: labels, weights: weights, totals: totals, smoothing: smoothing, metrics: metrics, gradient: gradient,
        lossScale: lossScale))
  }

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
