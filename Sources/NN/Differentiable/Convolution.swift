import Compute

extension Pass {
  /// Computes y = x ∗ filter. x [N,H,W,C], filter [R,S,C/groups,K] → y [N,P,Q,K].
  public func convolution(
    _ x: Variable, filter: Parameter, stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) throws -> Variable {
    try convolution(x, filter: filter, stride: stride, padding: padding, groups: groups, statisticsFor: nil).y
  }

  /// Computes y = x ∗ filter and, while y is written, the statistics of y that its batch normalization will need.
  /// - Returns: no statistics if none are requested or needed: in inference, for a frozen layer, and if recomputation already has
  ///   them.
  public func convolution(
    _ x: Variable, filter: Parameter, stride: Int, padding: Int, groups: Int = 1, statisticsFor norm: BatchNormLayer?
  ) throws -> (y: Variable, statistics: BatchNormChannels?) {
    let (backend, input, slot, weights) = (backend, x.value, x.slot, filter.value)
    let geometry = Conv2D(input: x.shape, filter: filter.shape, stride: stride, padding: padding, groups: groups)
    let y = try backend.batchTensor(geometry.output, input.type)
    var channels: BatchNormChannels?
    if let norm, takesStatistics, !norm.isFrozen {
      let (found, statistics) = try batchStatistics(norm)
      try backend.convolution(input, filter: weights, geometry, into: y, statistics)
      channels = found
    } else {
      try backend.convolution(input, filter: weights, geometry, into: y)
    }

    if filter.isFrozen && slot == nil { return (Variable(y), channels) }
    // Keeps only the tensors that the gradients need.
    let kept = filter.isFrozen ? nil : input
    let type = input.type
    let result = record(y) { dy in
      if let kept { try backend.convolutionFilterGradient(kept, dy, geometry, into: filter.gradient) }
      try slot?.accumulate(geometry.input, type, on: backend) { dx, accumulate in
        try backend.convolutionInputGradient(dy, filter: weights, geometry, accumulate: accumulate, into: dx)
      }
    }
    return (result, channels)
  }
}
