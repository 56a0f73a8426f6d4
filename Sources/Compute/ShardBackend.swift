/// A device that can compute its share of a batch on which several devices work together.
///
/// Most operations of ``Backend`` treat each image on its own, so a share of a batch is simply a smaller batch for them. The
/// other operations are sums over all images. This protocol divides them into steps; between the steps the devices exchange their
/// sums.
public protocol ShardBackend: Backend {
  /// Computes the moments of each channel over all other dimensions of x [..., C].
  ///
  /// moments [3,C]: the mean, Σ(x−mean)², and the number of values.
  func takeMoments(of x: Tensor, moments: Tensor) throws
  /// Computes y = x ∗ filter, and the moments of y as ``takeMoments(of:moments:)`` does.
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor) throws
  /// Merges the moments of a batch's parts [parts,3,C] in order and writes the statistics of the whole batch, which has `rows`
  /// values per channel; see
  /// ``BatchNormOperations/batchNormStatistics(_:_:)``.
  /// - Precondition: rows > 1, and rows is the sum of the parts' numbers of values.
  func mergeMoments(_ moments: Tensor, rows: Int, _ statistics: BatchNormStatistics) throws
  /// Computes this share's part of the sums of
  /// ``BatchNormOperations/batchNormGradient(_:x:mask:_:into:dscale:dbias:dresidual:)``: dbias = Σg and dscale = Σg·x̂. Also
  /// writes dresidual = g.
  func batchNormGradientSums(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, dresidual: Tensor?)
    throws
  /// Computes dx = scale·inverseDeviation·(g − dbias/M − x̂·dscale/M) from the sums over the whole batch, which has
  /// M = `rows` values per channel. dx may be dy or x.
  func batchNormInputGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, rows: Int,
    into dx: Tensor)
    throws
  /// Computes ``LossOperations/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)`` for some images of a batch. The
  /// gradient is that of the mean loss over the whole batch of `images` images.
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
