import Compute

extension CPUBackend {
  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) {
    check(.add(a, b, relu: relu, into: y))
    isDouble ? sum(Double.self, a, b, relu, y) : sum(Float.self, a, b, relu, y)
  }

  public func relu(_ x: Tensor, into y: Tensor) {
    check(.relu(x, into: y))
    isDouble ? rectify(Double.self, x, y) : rectify(Float.self, x, y)
  }

  public func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) {
    check(.clip(x, lower: lower, upper: upper, into: y))
    isDouble ? bound(Double.self, x, lower, upper, y) : bound(Float.self, x, lower, upper, y)
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) {
    check(.reluGradient(dy, y: y, into: dx))
    isDouble ? mask(Double.self, dy, y, dx) : mask(Float.self, dy, y, dx)
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) {
    check(.padShortcut(x, stride: stride, into: y))
    isDouble ? subsample(Double.self, x, stride, y) : subsample(Float.self, x, stride, y)
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) {
    check(.padShortcutGradient(dy, stride: stride, accumulate: accumulate, into: dx))
    isDouble
      ? subsampleGradient(Double.self, dy, stride, accumulate, dx) : subsampleGradient(Float.self, dy, stride, accumulate, dx)
  }
}

private func sum<T: CPUScalar>(_: T.Type, _ a: Tensor, _ b: Tensor, _ relu: Bool, _ y: Tensor) {
  let count = y.count
  let a = pointer(a, to: T.self)
  let b = pointer(b, to: T.self)
  let y = pointer(y, to: T.self)
  for i in 0..<count { y[i] = relu ? rectified(a[i] + b[i]) : a[i] + b[i] }
}

private func rectify<T: CPUScalar>(_: T.Type, _ x: Tensor, _ y: Tensor) {
  let count = y.count
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  for i in 0..<count { y[i] = rectified(x[i]) }
}

private func bound<T: CPUScalar>(_: T.Type, _ x: Tensor, _ lower: Double, _ upper: Double, _ y: Tensor) {
  let (count, lower, upper) = (y.count, T(lower), T(upper))
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  for i in 0..<count {
    let raised = x[i] < lower ? lower : x[i]
    y[i] = raised > upper ? upper : raised
  }
}

private func mask<T: CPUScalar>(_: T.Type, _ dy: Tensor, _ y: Tensor, _ dx: Tensor) {
  let count = y.count
  let dy = pointer(dy, to: T.self)
  let y = pointer(y, to: T.self)
  let dx = pointer(dx, to: T.self)
  for i in 0..<count { dx[i] = y[i] > 0 ? dy[i] : 0 }
}

/// The sizes of an option-A shortcut: [N,H,W,C] to [N,P,Q,K], C channels from channel `before` on.
private struct Shortcut {
  let n, h, w, c, p, q, k, before: Int

  init(input: Shape, stride: Int, output: Shape) {
    (n, h, w, c, k) = (input[0], input[1], input[2], input[3], output[3])
    (p, q) = ((h + stride - 1) / stride, (w + stride - 1) / stride)
    before = (k - c) / 2
  }
}

private func subsample<T: CPUScalar>(_: T.Type, _ x: Tensor, _ stride: Int, _ y: Tensor) {
  let g = Shortcut(input: x.shape, stride: stride, output: y.shape)
  let outputCount = y.count
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  y.update(repeating: 0, count: outputCount)
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
  let g = Shortcut(input: dx.shape, stride: stride, output: dy.shape)
  let dy = pointer(dy, to: T.self)
  let inputCount = dx.count
  let dx = pointer(dx, to: T.self)
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
