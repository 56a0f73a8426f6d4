import Compute

extension CPUBackend {
  public func batchNormStatistics(
    _ x: Tensor, epsilon: Double, momentum: Double, mean: Tensor, inverseDeviation: Tensor, runningMean: Tensor,
    runningVariance: Tensor
  ) {
    let estimates = Estimates(
      mean: mean, inverseDeviation: inverseDeviation, runningMean: runningMean, runningVariance: runningVariance)
    isDouble
      ? statistics(Double.self, x, epsilon, momentum, estimates) : statistics(Float.self, x, epsilon, momentum, estimates)
  }

  public func inverseDeviation(ofVariance variance: Tensor, epsilon: Double, into inverseDeviation: Tensor) {
    isDouble
      ? invert(Double.self, variance, epsilon, inverseDeviation) : invert(Float.self, variance, epsilon, inverseDeviation)
  }

  public func foldBatchNorm(_ norm: BatchNormEstimates, epsilon: Double, scale: Tensor, bias: Tensor) {
    isDouble ? fold(Double.self, norm, epsilon, scale, bias) : fold(Float.self, norm, epsilon, scale, bias)
  }

  public func batchNorm(_ x: Tensor, _ channels: BatchNormChannels, residual: Tensor?, relu: Bool, into y: Tensor) {
    isDouble
      ? normalise(Double.self, x, channels, residual, relu, y) : normalise(Float.self, x, channels, residual, relu, y)
  }

  public func batchNormGradient(
    _ dy: Tensor, x: Tensor, mask: ReLUMask, _ channels: BatchNormChannels, into dx: Tensor, dscale: Tensor, dbias: Tensor,
    dresidual: Tensor?
  ) {
    let results = Gradients(dx: dx, dscale: dscale, dbias: dbias, dresidual: dresidual)
    isDouble ? gradient(Double.self, dy, x, mask, channels, results) : gradient(Float.self, dy, x, mask, channels, results)
  }
}

private struct Estimates {
  let mean, inverseDeviation, runningMean, runningVariance: Tensor
}

private struct Gradients {
  let dx, dscale, dbias: Tensor
  let dresidual: Tensor?
}

/// Splits [..., C] into M values for each of C channels.
private func extent(of x: Tensor, _ operation: StaticString) -> (m: Int, c: Int) {
  precondition(x.shape.rank > 0 && x.count > 0, "[\(operation)] \(x.shape) has no channels")
  let c = x.shape[x.shape.rank - 1]
  return (x.count / c, c)
}

/// Two passes: the mean, then the squared distances from it, so that a large mean costs no digits of the variance.
private func statistics<T: CPUScalar>(
  _: T.Type, _ x: Tensor, _ epsilon: Double, _ momentum: Double, _ estimates: Estimates
) {
  let (m, c) = extent(of: x, "batchNormStatistics")
  precondition(m > 1, "[batchNormStatistics] \(x.shape): one value a channel has no variance")
  let values = pointer(x, x.shape, "batchNormStatistics", to: T.self)
  let mean = pointer(estimates.mean, [c], "batchNormStatistics", to: T.self)
  let inverse = pointer(estimates.inverseDeviation, [c], "batchNormStatistics", to: T.self)
  let runningMean = pointer(estimates.runningMean, [c], "batchNormStatistics", to: T.self)
  let runningVariance = pointer(estimates.runningVariance, [c], "batchNormStatistics", to: T.self)
  withZeros(2 * c) { sums in
    let squares = sums + c
    for row in 0..<m { addScaled(1, values + row * c, to: sums, count: c) }
    for channel in 0..<c { sums[channel] /= Double(m) }
    for row in 0..<m {
      for channel in 0..<c {
        let distance = values[row * c + channel].double - sums[channel]
        squares[channel] += distance * distance
      }
    }
    for channel in 0..<c {
      mean[channel] = T(sums[channel])
      inverse[channel] = T(1 / (squares[channel] / Double(m) + epsilon).squareRoot())
      let variance = squares[channel] / Double(m - 1)
      runningMean[channel] = T((1 - momentum) * runningMean[channel].double + momentum * sums[channel])
      runningVariance[channel] = T((1 - momentum) * runningVariance[channel].double + momentum * variance)
    }
  }
}

private func invert<T: CPUScalar>(_: T.Type, _ variance: Tensor, _ epsilon: Double, _ inverse: Tensor) {
  let count = variance.count
  let variance = pointer(variance, variance.shape, "inverseDeviation", to: T.self)
  let inverse = pointer(inverse, [count], "inverseDeviation", to: T.self)
  for i in 0..<count { inverse[i] = T(1 / (variance[i].double + epsilon).squareRoot()) }
}

private func fold<T: CPUScalar>(_: T.Type, _ norm: BatchNormEstimates, _ epsilon: Double, _ scale: Tensor, _ bias: Tensor) {
  let c = norm.mean.count
  func channels(_ tensor: Tensor) -> UnsafeMutablePointer<T> { pointer(tensor, [c], "foldBatchNorm", to: T.self) }
  let (mean, variance) = (channels(norm.mean), channels(norm.variance))
  let (oldScale, oldBias) = (channels(norm.scale), channels(norm.bias))
  let (newScale, newBias) = (channels(scale), channels(bias))
  for i in 0..<c {
    let factor = oldScale[i].double / (variance[i].double + epsilon).squareRoot()
    newScale[i] = T(factor)
    newBias[i] = T(oldBias[i].double - mean[i].double * factor)
  }
}

private func normalise<T: CPUScalar>(
  _: T.Type, _ x: Tensor, _ channels: BatchNormChannels, _ residual: Tensor?, _ relu: Bool, _ y: Tensor
) {
  let (m, c) = extent(of: x, "batchNorm")
  let y = pointer(y, x.shape, "batchNorm", to: T.self)
  let residual = residual.map { pointer($0, x.shape, "batchNorm", to: T.self) }
  let x = pointer(x, x.shape, "batchNorm", to: T.self)
  let mean = pointer(channels.mean, [c], "batchNorm", to: T.self)
  let inverse = pointer(channels.inverseDeviation, [c], "batchNorm", to: T.self)
  let scale = pointer(channels.scale, [c], "batchNorm", to: T.self)
  let bias = pointer(channels.bias, [c], "batchNorm", to: T.self)
  for row in 0..<m {
    for channel in 0..<c {
      let i = row * c + channel
      let normalised = (x[i].double - mean[channel].double) * inverse[channel].double
      var value = scale[channel].double * normalised + bias[channel].double
      if let residual { value += residual[i].double }
      y[i] = T(relu ? rectified(value) : value)
    }
  }
}

private func gradient<T: CPUScalar>(
  _: T.Type, _ dy: Tensor, _ x: Tensor, _ mask: ReLUMask, _ channels: BatchNormChannels, _ results: Gradients
) {
  let (m, c) = extent(of: x, "batchNormGradient")
  let dy = pointer(dy, x.shape, "batchNormGradient", to: T.self)
  let y: UnsafeMutablePointer<T>? =
    if case .result(let y) = mask { pointer(y, x.shape, "batchNormGradient", to: T.self) } else { nil }
  let dx = pointer(results.dx, x.shape, "batchNormGradient", to: T.self)
  let dresidual = results.dresidual.map { pointer($0, x.shape, "batchNormGradient", to: T.self) }
  let x = pointer(x, x.shape, "batchNormGradient", to: T.self)
  let mean = pointer(channels.mean, [c], "batchNormGradient", to: T.self)
  let inverse = pointer(channels.inverseDeviation, [c], "batchNormGradient", to: T.self)
  let scale = pointer(channels.scale, [c], "batchNormGradient", to: T.self)
  let bias = pointer(channels.bias, [c], "batchNormGradient", to: T.self)
  let dscale = pointer(results.dscale, [c], "batchNormGradient", to: T.self)
  let dbias = pointer(results.dbias, [c], "batchNormGradient", to: T.self)

  /// g and x̂ of one element.
  @inline(__always) func terms(_ i: Int, _ channel: Int) -> (g: T, normalised: Double) {
    let normalised = (x[i].double - mean[channel].double) * inverse[channel].double
    let passed =
      switch mask {
      case .none: true
      case .result: y.map { $0[i] > 0 } ?? true
      case .recomputed: normalised * scale[channel].double + bias[channel].double > 0
      }
    return (passed ? dy[i] : 0, normalised)
  }

  withZeros(2 * c) { biasSums in
    let scaleSums = biasSums + c
    for row in 0..<m {
      for channel in 0..<c {
        let (g, normalised) = terms(row * c + channel, channel)
        biasSums[channel] += g.double
        scaleSums[channel] += g.double * normalised
      }
    }
    for row in 0..<m {
      for channel in 0..<c {
        let i = row * c + channel
        let (g, normalised) = terms(i, channel)
        let centred = g.double - (biasSums[channel] + normalised * scaleSums[channel]) / Double(m)
        dresidual?[i] = g
        dx[i] = T(scale[channel].double * inverse[channel].double * centred)
      }
    }
    for channel in 0..<c { (dscale[channel], dbias[channel]) = (T(scaleSums[channel]), T(biasSums[channel])) }
  }
}
