import Compute

/// Steps of operations over all images that only a share of a batch needs. A whole batch uses the other steps.
extension OpenCLBackend {
  public func takeMoments(of x: Tensor, moments: Tensor) throws {
    check(.takeMoments(of: x, moments: moments))
    let channels = moments.shape[1]
    let partial = try tensor([momentChunks(rows: x.count / channels, channels: channels), 3, channels])
    try takeMoments(of: x, into: partial)
    try mergeChunks(partial, rows: x.count / channels, into: moments)
  }

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor) throws {
    check(.convolution(x, filter: filter, geometry, into: y, moments: moments))
    let partial = try convolutionTakingMoments(x, filter: filter, geometry, into: y)
    try mergeChunks(partial, rows: y.count / geometry.k, into: moments)
  }
}
