/// A device that can do its share of a batch that several devices work on together.
///
/// Most operations of ``Backend`` treat each image on its own, so that a share is a batch. The others are sums over all images:
/// here they come in the parts between which devices tell each other their sums.
public protocol ShardBackend: Backend {
  /// The moments of each channel over all other dimensions of x [..., C].
  ///
  /// moments [3,C]: the mean, Σ(x−mean)², and the number of values.
  func takeMoments(of x: Tensor, moments: Tensor) throws
  /// y = x ∗ filter, and the moments of y as ``takeMoments(of:moments:)`` takes them.
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor) throws
  /// The statistics of a batch of `rows` values a channel from the moments of its parts [parts,3,C], merged in order; see
  /// ``Backend/batchNormStatistics(_:epsilon:momentum:mean:inverseDeviation:runningMean:runningVariance:)``.
  /// - Precondition: rows > 1, the sum of the parts' numbers.
  func mergeMoments(_ moments: Tensor, rows: Int, _ statistics: BatchNormStatistics) throws
  /// The share's part of the sums of
  /// ``Backend/batchNormGradient(_:x:mask:_:into:dscale:dbias:dresidual:)``: dbias = Σg, dscale = Σg·x̂; and dresidual = g.
  func batchNormGradientSums(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, dresidual: Tensor?)
    throws
  /// dx = scale·inverseDeviation·(g − dbias/M − x̂·dscale/M) with the sums over the whole batch, of M = `rows` values a channel.
  /// dx may be dy or x.
  func batchNormInputGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, rows: Int,
    into dx: Tensor)
    throws
  /// ``Backend/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)`` of some of a batch's images: the gradient is that of
  /// the mean over the whole batch, of `images`.
  func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?,
    images: Int) throws
}

extension ShardBackend {
  public func crossEntropy(
    _ logits: Tensor, labels: Tensor, smoothing: Double, metrics: Tensor, gradient: Tensor?, lossScale: Tensor?
  ) throws {
    try crossEntropy(
      logits, labels: labels, smoothing: smoothing, metrics: metrics, gradient: gradient, lossScale: lossScale,
      images: logits.shape[0])
  }
}
