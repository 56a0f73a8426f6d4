import Compute

extension CPUBackend {
  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) {
    check(.convolution(x, filter: filter, geometry, into: y))
    isDouble ? forward(Double.self, x, filter, geometry, nil, y) : forward(Float.self, x, filter, geometry, nil, y)
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) {
    check(.convolution(x, filter: filter, geometry, into: y, statistics))
    convolution(x, filter: filter, geometry, into: y)
    batchNormStatistics(y, statistics)
  }

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor) {
    check(.convolution(x, filter: filter, geometry, into: y, moments: moments))
    convolution(x, filter: filter, geometry, into: y)
    takeMoments(of: y, moments: moments)
  }

  public func convolution(_ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor) {
    check(.convolution(x, prepared: prepared, plannedFilterCount(geometry, x.type), geometry, epilogue, into: y))
    let filter = Tensor(shape: geometry.filter, type: prepared.type, storage: prepared.storage)
    isDouble
      ? forward(Double.self, x, filter, geometry, epilogue, y) : forward(Float.self, x, filter, geometry, epilogue, y)
  }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int { geometry.filter.count }

  public func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int { geometry.filter.count }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) {
    check(.prepareFilter(filter, geometry, storage, into: prepared, plannedFilterCount(geometry, storage)))
    copy(filter, into: prepared)
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) {
    check(.convolutionInputGradient(dy, filter: filter, geometry, accumulate: accumulate, into: dx))
    isDouble
      ? inputGradient(Double.self, dy, filter, geometry, accumulate, dx)
      : inputGradient(Float.self, dy, filter, geometry, accumulate, dx)
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) {
    check(.convolutionFilterGradient(x, dy, geometry, into: dw))
    isDouble ? filterGradient(Double.self, x, dy, geometry, dw) : filterGradient(Float.self, x, dy, geometry, dw)
  }

  public func workspaceByteCounts(_ operation: WorkspaceOperation) -> [Int] { [] }
}

extension Conv2D {
  /// Returns the output columns q whose tap s lies inside the image: 0 ≤ q·stride + s − padding < W.
  fileprivate func columns(tap s: Int) -> Range<Int> {
    let first = max(0, (padding - s + stride - 1) / stride)
    let last = w - 1 + padding - s
    return first..<max(first, last < 0 ? 0 : min(q, last / stride + 1))
  }
}

/// Computes one row of output pixels, [Q,K], per iteration.
private func forward<T: CPUScalar>(
  _: T.Type, _ x: Tensor, _ filter: Tensor, _ g: Conv2D, _ epilogue: ConvolutionEpilogue?, _ y: Tensor
) {
  let scale = epilogue.map { pointer($0.scale, to: T.self) }
  let bias = epilogue.map { pointer($0.bias, to: T.self) }
  let residual = epilogue?.residual.map { pointer($0, to: T.self) }
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  let filter = pointer(filter, to: T.self)
  withZeros(g.filter.count) { taps in
    for i in 0..<g.filter.count { taps[i] = filter[i].double }
    inParallel(g.n * g.p) { row in
      let (n, p) = row.quotientAndRemainder(dividingBy: g.p)
      withZeros(g.q * g.k) { sums in
        for r in 0..<g.r {
          let h = p * g.stride + r - g.padding
          guard 0 <= h && h < g.h else { continue }
          for s in 0..<g.s {
            let pixels = x + ((n * g.h + h) * g.w + s - g.padding) * g.c
            for c in 0..<g.c {
              let (group, channel) = c.quotientAndRemainder(dividingBy: g.groupC)
              let tap = taps + ((r * g.s + s) * g.groupC + channel) * g.k + group * g.groupK
              for q in g.columns(tap: s) {
                addScaled(
                  pixels[q * g.stride * g.c + c].double, tap, to: sums + q * g.k + group * g.groupK, count: g.groupK)
              }
            }
          }
        }
        for i in 0..<g.q * g.k {
          var value = sums[i]
          if let epilogue, let scale, let bias {
            value = value * scale[i % g.k].double + bias[i % g.k].double + (residual?[row * g.q * g.k + i].double ?? 0)
            if epilogue.relu && value < 0 { value = 0 }
          }
          y[row * g.q * g.k + i] = T(value)
        }
      }
    }
  }
}

/// Computes one row of input pixels, [W,C], per iteration. Each pixel gathers from the output pixels that it contributed to.
private func inputGradient<T: CPUScalar>(
  _: T.Type, _ dy: Tensor, _ filter: Tensor, _ g: Conv2D, _ accumulate: Bool, _ dx: Tensor
) {
  let dy = pointer(dy, to: T.self)
  let dx = pointer(dx, to: T.self)
  let filter = pointer(filter, to: T.self)
  withZeros(g.filter.count) { taps in
    transpose(filter, matrices: g.r * g.s, rows: g.groupC, columns: g.k, into: taps)  // [R,S,K,C/groups]
    inParallel(g.n * g.h) { row in
      let (n, h) = row.quotientAndRemainder(dividingBy: g.h)
      withZeros(g.w * g.c) { sums in
        for r in 0..<g.r {
          let (p, offGrid) = (h + g.padding - r).quotientAndRemainder(dividingBy: g.stride)
          guard h + g.padding >= r && offGrid == 0 && p < g.p else { continue }
          for s in 0..<g.s {
            for k in 0..<g.k {
              let tap = taps + ((r * g.s + s) * g.k + k) * g.groupC
              let first = k / g.groupK * g.groupC
              for q in g.columns(tap: s) {
                let w = q * g.stride + s - g.padding
                addScaled(
                  dy[((n * g.p + p) * g.q + q) * g.k + k].double, tap, to: sums + w * g.c + first, count: g.groupC)
              }
            }
          }
        }
        let dx = dx + row * g.w * g.c
        for i in 0..<g.w * g.c { dx[i] = T(accumulate ? dx[i].double + sums[i] : sums[i]) }
      }
    }
  }
}

/// Computes one tap of a few input channels of a group, [≤ 16,K/groups], per iteration, over all pixels of all images.
private func filterGradient<T: CPUScalar>(_: T.Type, _ x: Tensor, _ dy: Tensor, _ g: Conv2D, _ dw: Tensor) {
  let x = pointer(x, to: T.self)
  let dy = pointer(dy, to: T.self)
  let dw = pointer(dw, to: T.self)
  let blocks = (g.groupC + 15) / 16
  inParallel(g.r * g.s * g.groups * blocks) { item in
    let (tap, part) = item.quotientAndRemainder(dividingBy: g.groups * blocks)
    let (group, block) = part.quotientAndRemainder(dividingBy: blocks)
    let (r, s) = tap.quotientAndRemainder(dividingBy: g.s)
    let channels = block * 16..<min(g.groupC, block * 16 + 16)
    withZeros(channels.count * g.groupK) { sums in
      for n in 0..<g.n {
        for p in 0..<g.p {
          let h = p * g.stride + r - g.padding
          guard 0 <= h && h < g.h else { continue }
          for q in g.columns(tap: s) {
            let pixel = x + ((n * g.h + h) * g.w + q * g.stride + s - g.padding) * g.c + group * g.groupC
            let gradient = dy + ((n * g.p + p) * g.q + q) * g.k + group * g.groupK
            for c in channels {
              addScaled(pixel[c].double, gradient, to: sums + (c - channels.lowerBound) * g.groupK, count: g.groupK)
            }
          }
        }
      }
      for (row, c) in channels.enumerated() {
        let dw = dw + (tap * g.groupC + c) * g.k + group * g.groupK
        for k in 0..<g.groupK { dw[k] = T(sums[row * g.groupK + k]) }
      }
    }
  }
}
