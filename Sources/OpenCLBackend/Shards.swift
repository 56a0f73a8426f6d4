import Compute
import Kernels

/// The parts of operations over all images that only a share of a batch needs; a whole batch is made of the others.
extension OpenCLBackend {
  public func takeMoments(of x: Tensor, moments: Tensor) throws {
    let channels = moments.count / 3
    let partial = try tensor([momentChunks(rows: x.count / channels), 3, channels])
    try takeMoments(of: x, into: partial)
    try reduce(partial, rows: x.count / channels, into: moments)
  }

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor) throws {
    let partial = try convolutionTakingMoments(x, filter: filter, geometry, into: y)
    try reduce(partial, rows: y.count / geometry.k, into: moments)
  }

  /// The moments of `rows` rows from those of their chunks. partial [chunks,3,C] → moments [3,C].
  private func reduce(_ partial: Tensor, rows: Int, into moments: Tensor) throws {
    let (chunks, channels) = (partial.shape[0], partial.shape[2])
    precondition(moments.shape == [3, channels], "[takeMoments] \(moments.shape) of \(channels) channels")
    let width = traits.vectorWidth(dividing: channels)
    try launch(
      Specialisation(.batchNorm, "moments_of_share", ["VW": width]), global: [channels / width],
      [.buffer(partial.buffer), .buffer(moments.buffer), .int(rows), .int(channels), .int(chunks)])
  }
}
