import Compute

extension Pass {
  /// Computes y = x·weight + bias. x [N,C], weight [C,K], bias [K] → y [N,K].
  public func linear(_ x: Variable, weight: Parameter, bias: Parameter) throws -> Variable {
    let (backend, input, slot, weights) = (backend, x.value, x.slot, weight.value)
    let y = try backend.batchTensor([x.shape[0], weight.shape[1]])
    try backend.multiply(input, transposed: false, weights, transposed: false, into: y)
    try backend.addBias(bias.value, to: y)

    if weight.isFrozen && slot == nil { return Variable(y) }
    return record(y) { dy in
      // dw = xᵀ·dy, db = Σ_n dy, dx = dy·wᵀ
      if !weight.isFrozen {
        try backend.multiply(input, transposed: true, dy, transposed: false, into: weight.gradient)
        try backend.sumRows(dy, into: bias.gradient)
      }
      guard let slot else { return }
      let dx = try backend.batchTensor(input.shape)
      try backend.multiply(dy, transposed: false, weights, transposed: true, into: dx)
      try slot.add(dx, on: backend)
    }
  }
}
