import Compute

/// Single elements of a convolution's result: direct sums in double precision over operands that need no memory.
struct DirectSums {
  let work: ConvolutionWork
  /// Contents of the operands. That of the result counts only where the pass adds to it.
  let x, filter, y: RepeatedValues
  /// Contents of the epilogue's operands in inference; the residual is nil if there is none.
  var scale = 1.0
  var bias = 0.0
  var residual: RepeatedValues?

  private var g: Conv2D { work.geometry }

  /// Number of products in an element, at most.
  var terms: Int {
    switch work.pass {
    case .forward, .forwardWithStatistics, .inference: g.r * g.s * g.groupC
    case .inputGradient: g.r * g.s * g.groupK
    case .filterGradient: g.n * g.p * g.q
    }
  }

  /// Returns an element of the result, by its position in memory.
  subscript(index: Int) -> Double {
    switch work.pass {
    case .forward, .forwardWithStatistics: output(index)
    case .inference: max(0, output(index) * scale + bias + (residual?[index] ?? 0))
    case .inputGradient: inputGradient(index) + (work.accumulates ? x[index] : 0)
    case .filterGradient: filterGradient(index)
    }
  }

  /// Returns y[n,p,q,k] = Σ x[n,h,w,c] · filter[r,s,c,k].
  private func output(_ index: Int) -> Double {
    let (pixel, k) = index.quotientAndRemainder(dividingBy: g.k)
    let (row, q) = pixel.quotientAndRemainder(dividingBy: g.q)
    let (n, p) = row.quotientAndRemainder(dividingBy: g.p)
    let channels = k / g.groupK * g.groupC
    var sum = 0.0
    for r in 0..<g.r {
      let h = p * g.stride + r - g.padding
      guard (0..<g.h).contains(h) else { continue }
      for s in 0..<g.s {
        let w = q * g.stride + s - g.padding
        guard (0..<g.w).contains(w) else { continue }
        let (from, tap) = (((n * g.h + h) * g.w + w) * g.c + channels, (r * g.s + s) * g.groupC * g.k + k)
        for c in 0..<g.groupC { sum += x[from + c] * filter[tap + c * g.k] }
      }
    }
    return sum
  }

  /// Returns dx[n,h,w,c] = Σ dy[n,p,q,k] · filter[r,s,c,k].
  private func inputGradient(_ index: Int) -> Double {
    let (pixel, channel) = index.quotientAndRemainder(dividingBy: g.c)
    let (row, w) = pixel.quotientAndRemainder(dividingBy: g.w)
    let (n, h) = row.quotientAndRemainder(dividingBy: g.h)
    let (group, c) = channel.quotientAndRemainder(dividingBy: g.groupC)
    var sum = 0.0
    for r in 0..<g.r {
      guard let p = position(h + g.padding - r, below: g.p) else { continue }
      for s in 0..<g.s {
        guard let q = position(w + g.padding - s, below: g.q) else { continue }
        let (from, tap) = (((n * g.p + p) * g.q + q) * g.k, ((r * g.s + s) * g.groupC + c) * g.k)
        for k in group * g.groupK..<(group + 1) * g.groupK { sum += y[from + k] * filter[tap + k] }
      }
    }
    return sum
  }

  /// Returns the output position that lies at this distance from the first one; nil if there is none.
  private func position(_ distance: Int, below size: Int) -> Int? {
    guard distance >= 0, distance % g.stride == 0, distance / g.stride < size else { return nil }
    return distance / g.stride
  }

  /// Returns dw[r,s,c,k] = Σ x[n,h,w,c] · dy[n,p,q,k].
  private func filterGradient(_ index: Int) -> Double {
    let (row, k) = index.quotientAndRemainder(dividingBy: g.k)
    let (tap, c) = row.quotientAndRemainder(dividingBy: g.groupC)
    let (r, s) = tap.quotientAndRemainder(dividingBy: g.s)
    let channel = k / g.groupK * g.groupC + c
    var sum = 0.0
    for n in 0..<g.n {
      for p in 0..<g.p {
        let h = p * g.stride + r - g.padding
        guard (0..<g.h).contains(h) else { continue }
        for q in 0..<g.q {
          let w = q * g.stride + s - g.padding
          guard (0..<g.w).contains(w) else { continue }
          sum += x[((n * g.h + h) * g.w + w) * g.c + channel] * y[((n * g.p + p) * g.q + q) * g.k + k]
        }
      }
    }
    return sum
  }
}
