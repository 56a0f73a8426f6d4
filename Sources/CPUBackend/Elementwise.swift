import Compute

extension CPUBackend {
  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) {
    isDouble ? sum(Double.self, a, b, relu, y) : sum(Float.self, a, b, relu, y)
  }

  public func relu(_ x: Tensor, into y: Tensor) {
    isDouble ? rectify(Double.self, x, y) : rectify(Float.self, x, y)
  }

  public func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) {
    isDouble ? bound(Double.self, x, lower, upper, y) : bound(Float.self, x, lower, upper, y)
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) {
    isDouble ? mask(Double.self, dy, y, dx) : mask(Float.self, dy, y, dx)
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) {
    isDouble ? subsample(Double.self, x, stride, y) : subsample(Float.self, x, stride, y)
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) {
    isDouble
      ? subsampleGradient(Double.self, dy, stride, accumulate, dx) : subsampleGradient(Float.self, dy, stride, accumulate, dx)
  }
}

private func sum<T: CPUScalar>(_: T.Type, _ a: Tensor, _ b: Tensor, _ relu: Bool, _ y: Tensor) {
  let (shape, count) = (y.shape, y.count)
  let a = pointer(a, shape, "add", to: T.self)
  let b = pointer(b, shape, "add", to: T.self)
  let y = pointer(y, shape, "add", to: T.self)
  for i in 0..<count { y[i] = relu ? rectified(a[i] + b[i]) : a[i] + b[i] }
}

private func rectify<T: CPUScalar>(_: T.Type, _ x: Tensor, _ y: Tensor) {
  let (shape, count) = (y.shape, y.count)
  let x = pointer(x, shape, "relu", to: T.self)
  let y = pointer(y, shape, "relu", to: T.self)
  for i in 0..<count { y[i] = rectified(x[i]) }
}

private func bound<T: CPUScalar>(_: T.Type, _ x: Tensor, _ lower: Double, _ upper: Double, _ y: Tensor) {
  let (shape, count, lower, upper) = (y.shape, y.count, T(lower), T(upper))
  let x = pointer(x, shape, "clip", to: T.self)
  let y = pointer(y, shape, "clip", to: T.self)
  for i in 0..<count {
    let raised = x[i] < lower ? lower : x[i]
    y[i] = raised > upper ? upper : raised
  }
}

private func mask<T: CPUScalar>(_: T.Type, _ dy: Tensor, _ y: Tensor, _ dx: Tensor) {
  let (shape, count) = (y.shape, y.count)
  let dy = pointer(dy, shape, "reluGradient", to: T.self)
  let y = pointer(y, shape, "reluGradient", to: T.self)
  let dx = pointer(dx, shape, "reluGradient", to: T.self)
  for i in 0..<count { dx[i] = y[i] > 0 ? dy[i] : 0 }
}

/// The sizes of an option-A shortcut: [N,H,W,C] to [N,P,Q,K], C channels from channel `before` on.
private struct Shortcut {
  let n, h, w, c, p, q, k, before: Int
  let output: Shape

  init(_ operation: StaticString, input: Shape, stride: Int, output: Shape) {
    precondition(input.rank == 4 && output.rank == 4 && stride > 0, "[\(operation)] \(input) to \(output), stride \(stride)")
    (n, h, w, c, k) = (input[0], input[1], input[2], input[3], output[3])
    (p, q) = ((h + stride - 1) / stride, (w + stride - 1) / stride)
    precondition(k >= c, "[\(operation)] \(c) channels do not fit into \(k)")
    before = (k - c) / 2
    self.output = [n, p, q, k]
  }
}

private func subsample<T: CPUScalar>(_: T.Type, _ x: Tensor, _ stride: Int, _ y: Tensor) {
  let g = Shortcut("padShortcut", input: x.shape, stride: stride, output: y.shape)
  let x = pointer(x, x.shape, "padShortcut", to: T.self)
  let y = pointer(y, g.output, "padShortcut", to: T.self)
  y.update(repeating: 0, count: g.output.count)
  for n in 0..<g.n {
    for p in 0..<g.p {
      for q in 0..<g.q {
        let source = x + ((n * g.h + p * stride) * g.w + q * stride) * g.c
        (y + ((n * g.p + p) * g.q + q) * g.k + g.before).update(from: source, count: g.c)
      }
    }
  }
}

private func subsampleGradient<T: CPUScalar>(_: T.Type, _ dy: Tensor, _ stride: Int, _ accumulate: Bool, _ dx: Tensor) {
  let g = Shortcut("padShortcutGradient", input: dx.shape, stride: stride, output: dy.shape)
  let dy = pointer(dy, g.output, "padShortcutGradient", to: T.self)
  let inputCount = dx.count
  let dx = pointer(dx, dx.shape, "padShortcutGradient", to: T.self)
  if !accumulate { dx.update(repeating: 0, count: inputCount) }
  for n in 0..<g.n {
    for p in 0..<g.p {
      for q in 0..<g.q {
        let gradient = dy + ((n * g.p + p) * g.q + q) * g.k + g.before
        let pixel = dx + ((n * g.h + p * stride) * g.w + q * stride) * g.c
        for c in 0..<g.c { pixel[c] += gradient[c] }
      }
    }
  }
}
