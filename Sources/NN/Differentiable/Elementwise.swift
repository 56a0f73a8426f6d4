import Compute

extension Pass {
  /// Computes y = max(x, 0) for x of any shape.
  public func relu(_ x: Variable) throws -> Variable {
    let y = try backend.batchTensor(x.shape, x.value.type)
    try backend.relu(x.value, into: y)
    guard let slot = x.slot else { return Variable(y) }

    let backend = backend
    return record(y) { dy in
      try backend.reluGradient(dy, y: y, into: dy)
      try slot.add(dy, on: backend)
    }
  }

  /// Computes y = a + b, then max(·, 0) if relu is true. The three shapes are equal.
  public func add(_ a: Variable, _ b: Variable, relu: Bool = false) throws -> Variable {
    let y = try backend.batchTensor(a.shape, a.value.type)
    try backend.add(a.value, b.value, relu: relu, into: y)
    let (first, second) = (a.slot ?? b.slot, a.slot == nil ? nil : b.slot)
    guard let first else { return Variable(y) }

    let backend = backend
    let mask = relu ? y : nil
    return record(y) { dy in
      if let mask { try backend.reluGradient(dy, y: mask, into: dy) }
      // A slot owns its tensor, so the second of two empty slots gets a copy.
      try second?.addCopy(of: dy, on: backend)
      try first.add(dy, on: backend)
    }
  }
}
