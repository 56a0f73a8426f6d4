import Compute
import Kernels

extension OpenCLBackend {
  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) throws {
    let g = geometry
    precondition(x.shape == g.input && y.shape == g.output && positions.count == y.count, "[maxPool] \(x.shape) → \(y.shape)")
    try launch(
      Specialisation(
        .pooling, "max_pool", ["VW": traits.vectorWidth(dividing: g.c), "WINDOW": g.window, "STRIDE": g.stride],
        x.type.storage),
      global: [g.p, g.n],
      [
        .buffer(x.buffer), .buffer(y.buffer), .buffer(positions.buffer), .int(g.h), .int(g.w), .int(g.c), .int(g.q),
        .int(g.padding),
      ])
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) throws {
    let g = geometry
    precondition(
      dx.shape == g.input && dy.shape == g.output && positions.count == dy.count, "[maxPoolGradient] \(dy.shape) → \(dx.shape)")
    try launch(
      Specialisation(.pooling, "max_pool_gradient", ["VW": traits.vectorWidth(dividing: g.c)], dx.type.storage),
      global: [g.h, g.n],
      [
        .buffer(dy.buffer), .buffer(positions.buffer), .buffer(dx.buffer), .int(g.w), .int(g.c), .int(g.p), .int(g.q),
        .int(g.window),
        .int(g.stride), .int(g.padding),
      ])
  }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) throws {
    let (n, c, pixels) = averagePoolSizes("globalAveragePool", whole: x, mean: y)
    let width = traits.vectorWidth(dividing: c)
    try launch(
      Specialisation(.pooling, "global_average_pool", ["VW": width], x.type.storage), global: [c / width, n],
      [.buffer(x.buffer), .buffer(y.buffer), .int(pixels), .int(c)])
  }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) throws {
    let (n, c, pixels) = averagePoolSizes("globalAveragePoolGradient", whole: dx, mean: dy)
    let width = traits.vectorWidth(dividing: c)
    try launch(
      Specialisation(.pooling, "global_average_pool_gradient", ["VW": width], dx.type.storage), global: [c / width, n],
      [.buffer(dy.buffer), .buffer(dx.buffer), .int(pixels), .int(c)])
  }

  private func averagePoolSizes(_ operation: String, whole: Tensor, mean: Tensor) -> (n: Int, c: Int, pixels: Int) {
    precondition(whole.shape.rank == 4, "[\(operation)] \(whole.shape)")
    let (n, c) = (whole.shape[0], whole.shape[3])
    precondition(mean.count == n * c, "[\(operation)] \(whole.shape), \(mean.shape)")
    return (n, c, whole.shape[1] * whole.shape[2])
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) throws {
    let before = channelsBefore("padShortcut", narrow: x, wide: y, stride: stride)
    try launch(
      Specialisation(.pooling, "pad_shortcut", x.type.storage), global: [y.shape[1], y.shape[0]],
      [
        .buffer(x.buffer), .buffer(y.buffer), .int(x.shape[1]), .int(x.shape[2]), .int(x.shape[3]), .int(y.shape[2]),
        .int(y.shape[3]),
        .int(before), .int(stride),
      ])
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) throws {
    let before = channelsBefore("padShortcutGradient", narrow: dx, wide: dy, stride: stride)
    try launch(
      Specialisation(.pooling, "pad_shortcut_gradient", ["ACCUMULATE": accumulate ? 1 : 0], dx.type.storage),
      global: [dx.shape[1], dx.shape[0]],
      [
        .buffer(dy.buffer), .buffer(dx.buffer), .int(dx.shape[2]), .int(dx.shape[3]), .int(dy.shape[1]), .int(dy.shape[2]),
        .int(dy.shape[3]), .int(before), .int(stride),
      ])
  }

  /// Checks a shortcut's shapes and returns the number of zero channels before those of the narrow side.
  private func channelsBefore(_ operation: String, narrow: Tensor, wide: Tensor, stride: Int) -> Int {
    let (x, y) = (narrow.shape, wide.shape)
    precondition(
      x.rank == 4 && y.rank == 4 && x[0] == y[0] && y[1] == (x[1] + stride - 1) / stride && y[2] == (x[2] + stride - 1) / stride
        && y[3] >= x[3], "[\(operation)] \(x) and \(y) with stride \(stride)")
    return (y[3] - x[3]) / 2
  }
}
