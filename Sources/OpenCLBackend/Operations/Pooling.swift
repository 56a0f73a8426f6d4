import CKernelParameters
import Compute

extension OpenCLBackend {
  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) throws {
    check(.maxPool(x, geometry, into: y, positions: positions))
    let g = geometry
    let width = traits.vectorWidth(dividing: g.c)
    try launch(
      KernelSpecialization("pooling.cl", "max_pool", ["VW": width, "WINDOW": g.window, "STRIDE": g.stride], x.type.storage),
      on: traits.grid(images: g.n, rows: g.p, vectors: g.q * g.c / width),
      [.buffer(x.buffer), .buffer(y.buffer), .buffer(positions.buffer), .structure(try g.parameters)])
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) throws {
    check(.maxPoolGradient(dy, positions: positions, geometry, into: dx))
    let g = geometry
    let width = traits.vectorWidth(dividing: g.c)
    try launch(
      KernelSpecialization("pooling.cl", "max_pool_gradient", ["VW": width], dx.type.storage),
      on: traits.grid(images: g.n, rows: g.h, vectors: g.w * g.c / width),
      [.buffer(dy.buffer), .buffer(positions.buffer), .buffer(dx.buffer), .structure(try g.parameters)])
  }

  public func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) throws {
    check(.pool(x, geometry, into: y))
    let (g, rows, columns) = (geometry, geometry.rows, geometry.columns)
    let width = traits.vectorWidth(dividing: g.c)
    let kernel = g.kind == .largest ? "pool_largest" : "pool_average"
    try launch(
      KernelSpecialization("pooling.cl", kernel, ["VW": width]),
      on: traits.grid(images: g.n, rows: rows.output, vectors: columns.output * g.c / width),
      [.buffer(x.buffer), .buffer(y.buffer), .structure(try g.parameters)])
  }

  public func shrink(_ x: Tensor, into y: Tensor) throws {
    check(.shrink(x, into: y))
    let (from, to) = (x.shape, y.shape)
    let width = traits.vectorWidth(dividing: from[3])
    let shape = try shrink_t(h: int32(from[1]), w: int32(from[2]), p: int32(to[1]), q: int32(to[2]), c: int32(from[3]))
    try launch(
      KernelSpecialization("pooling.cl", "shrink", ["VW": width], x.type.storage),
      on: traits.grid(images: to[0], rows: to[1], vectors: to[2] * to[3] / width),
      [.buffer(x.buffer), .buffer(y.buffer), .structure(shape)])
  }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) throws {
    check(.globalAveragePool(x, into: y))
    try globalAveragePool("global_average_pool", images: x, from: x, into: y)
  }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) throws {
    check(.globalAveragePoolGradient(dy, into: dx))
    try globalAveragePool("global_average_pool_gradient", images: dx, from: dy, into: dx)
  }

  /// Launches a kernel of global average pooling. `images` is the operand [N,H,W,C].
  private func globalAveragePool(_ kernel: String, images: Tensor, from source: Tensor, into result: Tensor) throws {
    let (n, c, pixels) = (images.shape[0], images.shape[3], images.shape[1] * images.shape[2])
    let width = traits.vectorWidth(dividing: c)
    let group = traits.group(columns: c / width, of: width, rows: pixels)
    try launch(
      KernelSpecialization("pooling.cl", kernel, ["VW": width], images.type.storage),
      on: group.grid(columns: c / width, blocks: n),
      [.buffer(source.buffer), .buffer(result.buffer), .int(pixels), .int(c)])
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) throws {
    check(.padShortcut(x, stride: stride, into: y))
    let before = (y.shape[3] - x.shape[3]) / 2
    let width = widthOfShortcut(narrow: x, wide: y, before)
    try launch(
      KernelSpecialization("pooling.cl", "pad_shortcut", ["VW": width], x.type.storage),
      on: traits.grid(images: y.shape[0], rows: y.shape[1], vectors: y.shape[2] * y.shape[3] / width),
      [.buffer(x.buffer), .buffer(y.buffer), .structure(try shortcut(narrow: x, wide: y, before, stride))])
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) throws {
    check(.padShortcutGradient(dy, stride: stride, accumulate: accumulate, into: dx))
    let before = (dy.shape[3] - dx.shape[3]) / 2
    let width = widthOfShortcut(narrow: dx, wide: dy, before)
    try launch(
      KernelSpecialization(
        "pooling.cl", "pad_shortcut_gradient", ["VW": width, "ACCUMULATE": accumulate ? 1 : 0], dx.type.storage),
      on: traits.grid(images: dx.shape[0], rows: dx.shape[1], vectors: dx.shape[2] * dx.shape[3] / width),
      [.buffer(dy.buffer), .buffer(dx.buffer), .structure(try shortcut(narrow: dx, wide: dy, before, stride))])
  }

  /// Returns the widest vector that divides the channels of both sides and the channels before the narrow side's.
  private func widthOfShortcut(narrow: Tensor, wide: Tensor, _ before: Int) -> Int {
    // A power of two divides the bitwise OR of these numbers exactly if it divides each of them.
    traits.vectorWidth(dividing: narrow.shape[3] | wide.shape[3] | before)
  }

  private func shortcut(narrow: Tensor, wide: Tensor, _ before: Int, _ stride: Int) throws -> pad_shortcut_t {
    let (x, y) = (narrow.shape, wide.shape)
    return try pad_shortcut_t(
      h: int32(x[1]), w: int32(x[2]), c: int32(x[3]), p: int32(y[1]), q: int32(y[2]), k: int32(y[3]), before: int32(before),
      stride: int32(stride))
  }
}

extension Pool2D {
  fileprivate var parameters: max_pool_t {
    get throws {
      try max_pool_t(
        h: int32(h), w: int32(w), c: int32(c), p: int32(p), q: int32(q), window: int32(window), stride: int32(stride),
        padding: int32(padding))
    }
  }
}

extension WindowPool {
  fileprivate var parameters: window_pool_t {
    get throws {
      try window_pool_t(
        rows: rows.parameters, columns: columns.parameters, c: int32(c),
        countsPadding: kind == .average(countingPadding: true) ? 1 : 0)
    }
  }
}

extension SlidingAxis {
  fileprivate var parameters: sliding_axis_t {
    get throws {
      try sliding_axis_t(
        input: int32(input), output: int32(output), window: int32(window), stride: int32(stride), dilation: int32(dilation),
        before: int32(before), after: int32(after))
    }
  }
}
