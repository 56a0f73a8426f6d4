import Compute

extension CPUBackend {
  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) {
    check(.maxPool(x, geometry, into: y, positions: positions))
    isDouble ? largest(Double.self, x, geometry, y, positions) : largest(Float.self, x, geometry, y, positions)
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) {
    check(.maxPoolGradient(dy, positions: positions, geometry, into: dx))
    isDouble ? scatter(Double.self, dy, positions, geometry, dx) : scatter(Float.self, dy, positions, geometry, dx)
  }

  public func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) {
    check(.pool(x, geometry, into: y))
    isDouble ? slide(Double.self, x, geometry, y) : slide(Float.self, x, geometry, y)
  }

  public func shrink(_ x: Tensor, into y: Tensor) {
    check(.shrink(x, into: y))
    isDouble ? averageAreas(Double.self, x, y) : averageAreas(Float.self, x, y)
  }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) {
    check(.globalAveragePool(x, into: y))
    isDouble ? average(Double.self, x, y) : average(Float.self, x, y)
  }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) {
    check(.globalAveragePoolGradient(dy, into: dx))
    isDouble ? spread(Double.self, dy, dx) : spread(Float.self, dy, dx)
  }
}

extension Pool2D {
  /// Returns the rows or columns of the window at `start` that lie inside an image of `size`.
  fileprivate func inside(_ start: Int, _ size: Int) -> Range<Int> { max(0, -start)..<min(window, size - start) }
}

private func largest<T: CPUScalar>(_: T.Type, _ x: Tensor, _ g: Pool2D, _ y: Tensor, _ positions: Tensor) {
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  let positions = pointer(positions, to: UInt8.self)
  inParallel(g.n * g.p) { row in
    let (n, p) = row.quotientAndRemainder(dividingBy: g.p)
    let top = p * g.stride - g.padding
    for q in 0..<g.q {
      let left = q * g.stride - g.padding
      for c in 0..<g.c {
        var best: (value: T, position: Int)?
        for r in g.inside(top, g.h) {
          for s in g.inside(left, g.w) {
            let value = x[((n * g.h + top + r) * g.w + left + s) * g.c + c]
            if let (held, _) = best, held.isNaN || value <= held { continue }
            best = (value, r * g.window + s)
          }
        }
        guard let best else { continue }
        y[(row * g.q + q) * g.c + c] = best.value
        positions[(row * g.q + q) * g.c + c] = UInt8(best.position)
      }
    }
  }
}

extension SlidingAxis {
  /// Returns the positions of a window's taps, some of which may lie outside the input.
  fileprivate func taps(_ index: Int) -> [Int] { (0..<window).map { index * stride - before + $0 * dilation } }
}

private func slide<T: CPUScalar>(_: T.Type, _ x: Tensor, _ g: WindowPool, _ y: Tensor) {
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  let (h, w) = (g.rows.input, g.columns.input)
  inParallel(g.n * g.rows.output) { row in
    let (n, p) = row.quotientAndRemainder(dividingBy: g.rows.output)
    let rowTaps = g.rows.taps(p)
    for q in 0..<g.columns.output {
      let columnTaps = g.columns.taps(q)
      let pixels = rowTaps.filter((0..<h).contains).flatMap { r in
        columnTaps.filter((0..<w).contains).map { ((n * h + r) * w + $0) * g.c }
      }
      let result = y + (row * g.columns.output + q) * g.c
      for c in 0..<g.c {
        switch g.kind {
        case .largest:
          // A NaN, once found, stays.
          result[c] = pixels.reduce(-T.infinity) { $0.isNaN || x[$1 + c] <= $0 ? $0 : x[$1 + c] }
        case .average(let countingPadding):
          let counted =
            countingPadding
            ? rowTaps.count { $0 < h + g.rows.after } * columnTaps.count { $0 < w + g.columns.after } : pixels.count
          result[c] = T(pixels.reduce(0.0) { $0 + x[$1 + c].double } / Double(counted))
        }
      }
    }
  }
}

/// Returns the pixels of a side of `input` that the result at `index` of `output` covers, with their shares.
private func coverage(_ index: Int, of output: Int, _ input: Int) -> [(pixel: Int, share: Double)] {
  // In units of a pixel's output-th part, pixel h covers h·output ..< (h+1)·output, and a result covers `input` units.
  let (begin, end) = (index * input, (index + 1) * input)
  return (begin / output...(end - 1) / output).map { pixel in
    let covered = min(end, (pixel + 1) * output) - max(begin, pixel * output)
    return (pixel, Double(covered) / Double(input))
  }
}

private func averageAreas<T: CPUScalar>(_: T.Type, _ x: Tensor, _ y: Tensor) {
  let (h, w, c) = (x.shape[1], x.shape[2], x.shape[3])
  let (n, p, q) = (y.shape[0], y.shape[1], y.shape[2])
  let x = pointer(x, to: T.self)
  let y = pointer(y, to: T.self)
  inParallel(n * p) { row in
    let (image, index) = row.quotientAndRemainder(dividingBy: p)
    let rows = coverage(index, of: p, h)
    for column in 0..<q {
      let columns = coverage(column, of: q, w)
      for channel in 0..<c {
        let sum = rows.reduce(0.0) { sum, row in
          columns.reduce(sum) {
            $0 + row.share * $1.share * x[((image * h + row.pixel) * w + $1.pixel) * c + channel].double
          }
        }
        y[(row * q + column) * c + channel] = T(sum)
      }
    }
  }
}

/// Sums the gradients of one image at a time: windows overlap, so a pixel may be the largest of several.
private func scatter<T: CPUScalar>(_: T.Type, _ dy: Tensor, _ positions: Tensor, _ g: Pool2D, _ dx: Tensor) {
  let dy = pointer(dy, to: T.self)
  let positions = pointer(positions, to: UInt8.self)
  let dx = pointer(dx, to: T.self)
  let imageCount = g.h * g.w * g.c
  inParallel(g.n) { n in
    withZeros(imageCount) { sums in
      for p in 0..<g.p {
        for q in 0..<g.q {
          for c in 0..<g.c {
            let i = ((n * g.p + p) * g.q + q) * g.c + c
            let (r, s) = Int(positions[i]).quotientAndRemainder(dividingBy: g.window)
            let (h, w) = (p * g.stride + r - g.padding, q * g.stride + s - g.padding)
            precondition(0 <= h && h < g.h && 0 <= w && w < g.w, "[maxPoolGradient] position \(r), \(s) is outside the image")
            sums[(h * g.w + w) * g.c + c] += dy[i].double
          }
        }
      }
      for i in 0..<imageCount { dx[n * imageCount + i] = T(sums[i]) }
    }
  }
}

private func average<T: CPUScalar>(_: T.Type, _ x: Tensor, _ y: Tensor) {
  let (n, pixels, c) = (x.shape[0], x.shape[1] * x.shape[2], x.shape[3])
  let y = pointer(y, to: T.self)
  let x = pointer(x, to: T.self)
  for image in 0..<n {
    withZeros(c) { sums in
      for pixel in 0..<pixels { addScaled(1, x + (image * pixels + pixel) * c, to: sums, count: c) }
      for channel in 0..<c { y[image * c + channel] = T(sums[channel] / Double(pixels)) }
    }
  }
}

private func spread<T: CPUScalar>(_: T.Type, _ dy: Tensor, _ dx: Tensor) {
  let (n, pixels, c) = (dx.shape[0], dx.shape[1] * dx.shape[2], dx.shape[3])
  let dy = pointer(dy, to: T.self)
  let dx = pointer(dx, to: T.self)
  for image in 0..<n {
    for pixel in 0..<pixels {
      for channel in 0..<c { dx[(image * pixels + pixel) * c + channel] = T(dy[image * c + channel].double / Double(pixels)) }
    }
  }
}
