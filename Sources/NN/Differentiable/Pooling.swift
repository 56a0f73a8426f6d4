import Compute

extension Pass {
  /// Computes the largest value of each window. x [N,H,W,C] → y [N,P,Q,C].
  public func maxPool(_ x: Variable, window: Int, stride: Int, padding: Int = 0) throws -> Variable {
    let geometry = Pool2D(input: x.shape, window: window, stride: stride, padding: padding)
    let type = x.value.type
    let y = try backend.batchTensor(geometry.output, type)
    let positions = try backend.batchTensor(geometry.output, .uint8)
    try backend.maxPool(x.value, geometry, into: y, positions: positions)
    guard let slot = x.slot else { return Variable(y) }

    let backend = backend
    return record(y) { dy in
      let dx = try backend.batchTensor(geometry.input, type)
      try backend.maxPoolGradient(dy, positions: positions, geometry, into: dx)
      try slot.add(dx, on: backend)
    }
  }

  /// Computes the mean over the pixels. x [N,H,W,C] → y [N,C].
  public func globalAveragePool(_ x: Variable) throws -> Variable {
    let (shape, type) = (x.shape, x.value.type)
    let y = try backend.batchTensor([shape[0], shape[3]])
    try backend.globalAveragePool(x.value, into: y)
    guard let slot = x.slot else { return Variable(y) }

    let backend = backend
    return record(y) { dy in
      let dx = try backend.batchTensor(shape, type)
      try backend.globalAveragePoolGradient(dy, into: dx)
      try slot.add(dx, on: backend)
    }
  }
}
