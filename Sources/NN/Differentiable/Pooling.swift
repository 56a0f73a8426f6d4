import Compute

extension Pass {
  /// The largest value of each window. x [N,H,W,C] → y [N,P,Q,C].
  public func maxPool(_ x: Variable, window: Int, stride: Int, padding: Int = 0) throws -> Variable {
    let geometry = Pool2D(input: x.shape, window: window, stride: stride, padding: padding)
    let y = try backend.tensor(geometry.output)
    let positions = try backend.tensor(geometry.output, .uint8)
    try backend.maxPool(x.value, geometry, into: y, positions: positions)
    guard let slot = x.slot else { return Variable(y) }

    let backend = backend
    return record(y) { dy in
      let dx = try backend.tensor(geometry.input)
      try backend.maxPoolGradient(dy, positions: positions, geometry, into: dx)
      try slot.add(dx, on: backend)
    }
  }

  /// The mean over the pixels. x [N,H,W,C] → y [N,C].
  public func globalAveragePool(_ x: Variable) throws -> Variable {
    let shape = x.shape
    let y = try backend.tensor([shape[0], shape[3]])
    try backend.globalAveragePool(x.value, into: y)
    guard let slot = x.slot else { return Variable(y) }

    let backend = backend
    return record(y) { dy in
      let dx = try backend.tensor(shape)
      try backend.globalAveragePoolGradient(dy, into: dx)
      try slot.add(dx, on: backend)
    }
  }
}
