import Compute

extension Pass {
  /// y = x ∗ filter. x [N,H,W,C], filter [R,S,C,K] → y [N,P,Q,K].
  public func convolution(_ x: Variable, filter: Parameter, stride: Int = 1, padding: Int = 0) throws -> Variable {
    let (backend, input, slot, weights) = (backend, x.value, x.slot, filter.value)
    let geometry = Conv2D(input: x.shape, filter: filter.shape, stride: stride, padding: padding)
    let y = try backend.tensor(geometry.output)
    try backend.convolution(input, filter: weights, geometry, into: y)

    return record(y) { dy in
      try backend.convolutionFilterGradient(input, dy, geometry, into: filter.gradient)
      try slot?.accumulate(geometry.input, on: backend) { dx, accumulate in
        try backend.convolutionInputGradient(dy, filter: weights, geometry, accumulate: accumulate, into: dx)
      }
    }
  }
}
