import Compute

extension CPUBackend {
  public func batchNormStatistics(_ x: Tensor, _ statistics: BatchNormStatistics) {
    check(.batchNormStatistics(x, statistics))
    isDouble ? compute(Double.self, x, statistics) : compute(Float.self, x, statistics)
  }

  public func takeMoments(of x: Tensor, moments: Tensor) {
    check(.takeMoments(of: x, moments: moments))
    isDouble ? shareMoments(Double.self, x, moments) : shareMoments(Float.self, x, moments)
  }

  public func mergeMoments(_ moments: Tensor, rows: Int, _ statistics: BatchNormStatistics) {
    check(.mergeMoments(moments, rows: rows, statistics))
    isDouble ? merge(Double.self, moments, rows, statistics) : merge(Float.self, moments, rows, statistics)
  }

  public func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) {
    check(.inverseDeviation(ofVariance: variance, epsilon: epsilon, into: inverseDeviation))
    isDouble
      ? invert(Double.self, variance, epsilon, inverseDeviation) : invert(Float.self, variance, epsilon, inverseDeviation)
  }

  public func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor) {
    check(.foldBatchNorm(norm, epsilon: epsilon, scale: scale, bias: bias))
    isDouble ? fold(Double.self, norm, epsilon, scale, bias) : fold(Float.self, norm, epsilon, scale, bias)
  }

  public func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) {
    check(.batchNorm(x, channels, residual: residual, relu: relu, into: y))
    isDouble
      ? normalize(Double.self, x, channels, residual, relu, y) : normalize(Float.self, x, channels, residual, relu, y)
  }

  public func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) {
    check(.batchNormGradient(dy, x: x, mask: mask, channels, into: dx, dscale: dscale, dbias: dbias, dresidual: dresidual))
    isDouble
      ? gradient(Double.self, dy, x, mask, channels, dx, dscale, dbias, dresidual)
      : gradient(Float.self, dy, x, mask, channels, dx, dscale, dbias, dresidual)
  }

  public func batchNormGradientSums(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, dresidual: Tensor?
  ) {
    check(.batchNormGradientSums(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, dresidual: dresidual))
    isDouble
      ? shareGradientSums(Double.self, dy, x, mask, channels, dscale, dbias, dresidual)
      : shareGradientSums(Float.self, dy, x, mask, channels, dscale, dbias, dresidual)
  }

  public func batchNormInputGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, dscale: Tensor, dbias: Tensor, rows: Int,
    into dx: Tensor
  ) {
    check(
      .batchNormInputGradient(dy, x: x, mask: mask, channels, dscale: dscale, dbias: dbias, rows: rows, into: dx))
    isDouble
      ? shareInputGradient(Double.self, dy, x, mask, channels, dscale, dbias, rows, dx)
      : shareInputGradient(Float.self, dy, x, mask, channels, dscale, dbias, rows, dx)
  }
}

/// Returns the sizes of x [..., C] as M values in each of C channels.
private func extent(of x: Tensor) -> (m: Int, c: Int) {
  let c = x.shape[x.shape.rank - 1]
  return (x.count / c, c)
}

/// Adds the moments of x to sums [2,C]: the mean of each channel, then Σ(x−mean)². Takes two passes, so that a large mean
/// does not cost digits of the variance.
private func addMoments<T: CPUScalar>(_: T.Type, of x: Tensor, to sums: UnsafeMutablePointer<Double>) {
  let (m, c) = extent(of: x)
  let values = pointer(x, to: T.self)
  let squares = sums + c
  for row in 0..<m { addScaled(1, values + row * c, to: sums, count: c) }
  for channel in 0..<c { sums[channel] /= Double(m) }
  for row in 0..<m {
    for channel in 0..<c {
      let distance = values[row * c + channel].double - sums[channel]
      squares[channel] += distance * distance
    }
  }
}

/// Writes the statistics of a batch with m values per channel, from sums as ``addMoments(_:of:to:)`` computes them.
private func write<T: CPUScalar>(_: T.Type, _ sums: UnsafePointer<Double>, m: Int, c: Int, to results: BatchNormStatistics) {
  let mean = pointer(results.mean, to: T.self)
  let inverse = pointer(results.inverseDeviation, to: T.self)
  let runningMean = pointer(results.runningMean, to: T.self)
  let runningVariance = pointer(results.runningVariance, to: T.self)
  let (squares, momentum) = (sums + c, results.momentum)
  for channel in 0..<c {
    mean[channel] = T(sums[channel])
    inverse[channel] = T(1 / (squares[channel] / Double(m) + results.epsilon).squareRoot())
    let variance = squares[channel] / Double(m - 1)
    runningMean[channel] = T((1 - momentum) * runningMean[channel].double + momentum * sums[channel])
    runningVariance[channel] = T((1 - momentum) * runningVariance[channel].double + momentum * variance)
  }
}

private func compute<T: CPUScalar>(_: T.Type, _ x: Tensor, _ results: BatchNormStatistics) {
  let (m, c) = extent(of: x)
  withZeros(2 * c) { sums in
    addMoments(T.self, of: x, to: sums)
    write(T.self, sums, m: m, c: c, to: results)
  }
}

private func shareMoments<T: CPUScalar>(_: T.Type, _ x: Tensor, _ moments: Tensor) {
  let (m, c) = extent(of: x)
  let moments = pointer(moments, to: T.self)
  withZeros(2 * c) { sums in
    addMoments(T.self, of: x, to: sums)
    for i in 0..<2 * c { moments[i] = T(sums[i]) }
  }
  for channel in 0..<c { moments[2 * c + channel] = T(m) }
}

/// Merges the moments of parts: Σ(x−mean)² = Σ_part [m2 + rows·(partMean−mean)²] (Chan, Golub, LeVeque 1983).
private func merge<T: CPUScalar>(_: T.Type, _ moments: Tensor, _ m: Int, _ results: BatchNormStatistics) {
  let (parts, c) = (moments.shape[0], moments.shape[2])
  let moments = pointer(moments, to: T.self)
  withZeros(2 * c) { sums in
    for part in 0..<parts {
      let mean = moments + part * 3 * c
      for channel in 0..<c { sums[channel] += mean[channel].double * (mean[2 * c + channel].double / Double(m)) }
    }
    for part in 0..<parts {
      let mean = moments + part * 3 * c
      for channel in 0..<c {
        let distance = mean[channel].double - sums[channel]
        sums[c + channel] += mean[c + channel].double + mean[2 * c + channel].double * distance * distance
      }
    }
    write(T.self, sums, m: m, c: c, to: results)
  }
}

private func invert<T: CPUScalar>(_: T.Type, _ variance: Tensor, _ epsilon: Double, _ inverse: Tensor) {
  let count = variance.count
  let variance = pointer(variance, to: T.self)
  let inverse = pointer(inverse, to: T.self)
  for i in 0..<count { inverse[i] = T(1 / (variance[i].double + epsilon).squareRoot()) }
}

private func fold<T: CPUScalar>(_: T.Type, _ norm: BatchNormEstimates, _ epsilon: Double, _ scale: Tensor, _ bias: Tensor) {
  let c = norm.mean.count
  func channels(_ tensor: Tensor) -> UnsafeMutablePointer<T> { pointer(tensor, to: T.self) }
  let (mean, variance) = (channels(norm.mean), channels(norm.variance))
  let (oldScale, oldBias) = (channels(norm.scale), channels(norm.bias))
  let (newScale, newBias) = (channels(scale), channels(bias))
  for i in 0..<c {
    let factor = oldScale[i].double / (variance[i].double + epsilon).squareRoot()
    newScale[i] = T(factor)
    newBias[i] = T(oldBias[i].double - mean[i].double * factor)
  }
}

private func normalize<T: CPUScalar>(
  _: T.Type, _ x: Tensor, _ channels: BatchNormChannels, _ residual: Tensor?, _ relu: Bool, _ y: Tensor
) {
  let (m, c) = extent(of: x)
  let y = pointer(y, to: T.self)
  let residual = residual.map { pointer($0, to: T.self) }
  let x = pointer(x, to: T.self)
  let mean = pointer(channels.mean, to: T.self)
  let inverse = pointer(channels.inverseDeviation, to: T.self)
  let scale = pointer(channels.scale, to: T.self)
  let bias = pointer(channels.bias, to: T.self)
  for row in 0..<m {
    for channel in 0..<c {
      let i = row * c + channel
      let normalized = (x[i].double - mean[channel].double) * inverse[channel].double
      var value = scale[channel].double * normalized + bias[channel].double
      if let residual { value += residual[i].double }
      y[i] = T(relu ? rectified(value) : value)
    }
  }
}

/// The masked gradient g and the normalized value x̂ of each element.
private struct GradientTerms<T: CPUScalar> {
  let m, c: Int
  let dy, x, mean, inverse, scale, bias: UnsafeMutablePointer<T>
  let y: UnsafeMutablePointer<T>?
  let isRecomputed: Bool

  init(_ dy: Tensor, _ x: Tensor, _ mask: ReLUMask, _ channels: BatchNormChannels) {
    let (m, c) = extent(of: x)
    func values(_ tensor: Tensor) -> UnsafeMutablePointer<T> { pointer(tensor) }
    func channel(_ tensor: Tensor) -> UnsafeMutablePointer<T> { pointer(tensor) }
    (self.m, self.c, isRecomputed) = (m, c, mask.isRecomputed)
    (self.dy, self.x, y) = (values(dy), values(x), mask.result.map(values))
    (mean, inverse) = (channel(channels.mean), channel(channels.inverseDeviation))
    (scale, bias) = (channel(channels.scale), channel(channels.bias))
  }

  /// Returns g and x̂.
  @inline(__always) func callAsFunction(_ i: Int, _ channel: Int) -> (g: T, normalized: Double) {
    let normalized = (x[i].double - mean[channel].double) * inverse[channel].double
    let passed =
      if let y { y[i] > 0 } else if isRecomputed { normalized * scale[channel].double + bias[channel].double > 0 } else { true }
    return (passed ? dy[i] : 0, normalized)
  }

  /// Adds Σg, then Σg·x̂, to sums [2,C].
  @inline(__always) func addSums(to sums: UnsafeMutablePointer<Double>) {
    for row in 0..<m {
      for channel in 0..<c {
        let (g, normalized) = self(row * c + channel, channel)
        sums[channel] += g.double
        sums[c + channel] += g.double * normalized
      }
    }
  }

  /// Writes dx, and g to dresidual if that is given. Works element by element, so that both may be in place of their sources.
  @inline(__always) func write(
    _ sums: UnsafePointer<Double>, rows: Int, dx: UnsafeMutablePointer<T>, dresidual: UnsafeMutablePointer<T>?
  ) {
    for row in 0..<m {
      for channel in 0..<c {
        let i = row * c + channel
        let (g, normalized) = self(i, channel)
        let centered = g.double - (sums[channel] + normalized * sums[c + channel]) / Double(rows)
        dresidual?[i] = g
        dx[i] = T(scale[channel].double * inverse[channel].double * centered)
      }
    }
  }
}

private func gradient<T: CPUScalar>(
  _: T.Type, _ dy: Tensor, _ x: Tensor, _ mask: ReLUMask, _ channels: BatchNormChannels, _ dx: Tensor, _ dscale: Tensor,
  _ dbias: Tensor, _ dresidual: Tensor?
) {
  let terms = GradientTerms<T>(dy, x, mask, channels)
  let c = terms.c
  let dx = pointer(dx, to: T.self)
  let dresidual = dresidual.map { pointer($0, to: T.self) }
  let dscale = pointer(dscale, to: T.self)
  let dbias = pointer(dbias, to: T.self)
  withZeros(2 * c) { sums in
    terms.addSums(to: sums)
    terms.write(sums, rows: terms.m, dx: dx, dresidual: dresidual)
    for channel in 0..<c { (dbias[channel], dscale[channel]) = (T(sums[channel]), T(sums[c + channel])) }
  }
}

private func shareGradientSums<T: CPUScalar>(
  _: T.Type, _ dy: Tensor, _ x: Tensor, _ mask: ReLUMask, _ channels: BatchNormChannels, _ dscale: Tensor, _ dbias: Tensor,
  _ dresidual: Tensor?
) {
  let terms = GradientTerms<T>(dy, x, mask, channels)
  let c = terms.c
  let dresidual = dresidual.map { pointer($0, to: T.self) }
  let dscale = pointer(dscale, to: T.self)
  let dbias = pointer(dbias, to: T.self)
  withZeros(2 * c) { sums in
    terms.addSums(to: sums)
    for channel in 0..<c { (dbias[channel], dscale[channel]) = (T(sums[channel]), T(sums[c + channel])) }
  }
  guard let dresidual else { return }
  for i in 0..<terms.m * c { dresidual[i] = terms(i, i % c).g }
}

private func shareInputGradient<T: CPUScalar>(
  _: T.Type, _ dy: Tensor, _ x: Tensor, _ mask: ReLUMask, _ channels: BatchNormChannels, _ dscale: Tensor, _ dbias: Tensor,
  _ rows: Int, _ dx: Tensor
) {
  let terms = GradientTerms<T>(dy, x, mask, channels)
  let c = terms.c
  let dx = pointer(dx, to: T.self)
  let dscale = pointer(dscale, to: T.self)
  let dbias = pointer(dbias, to: T.self)
  withZeros(2 * c) { sums in
    for channel in 0..<c { (sums[channel], sums[c + channel]) = (dbias[channel].double, dscale[channel].double) }
    terms.write(sums, rows: rows, dx: dx, dresidual: nil)
  }
}
