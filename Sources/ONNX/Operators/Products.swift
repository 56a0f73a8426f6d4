import Compute
import Support

extension Operator {
  /// Plans y = alpha·a·b + beta·c; a and b are transposed first if their flags are set.
  static func gemm(_ node: Node, _ planner: Planner) throws {
    let (ta, tb) = (try node.flag("transA"), try node.flag("transB"))
    let (alpha, beta) = (try node.float("alpha", default: 1), try node.float("beta", default: 1))
    let values = (try planner.value(node, 0), try planner.value(node, 1))
    guard values.0.shape.count == 2, values.1.shape.count == 2 else {
      throw Failure(.damagedFile, "\(describe(values.0.shape)) by \(describe(values.1.shape)): matrices are due")
    }
    let a = ta ? try planner.computed(values.0).transposed([1, 0]) : try planner.computed(values.0)
    let b = try planner.matrix(values.1, transposed: tb)
    guard a.shape[1] == b.shape[0] else {
      throw Failure(.mismatch, "\(describe(a.shape)) by \(describe(b.shape)) cannot be multiplied")
    }
    var y = try planner.scaled(try planner.product(a, b), alpha)
    if planner.has(node, 2) && beta != 0 {
      let c = try planner.scaled(try planner.computed(node, 2), beta)
      guard try broadcast(c.shape, y.shape) == y.shape else {
        throw Failure(.mismatch, "\(describe(c.shape)) cannot be added to \(describe(y.shape))")
      }
      y = try planner.sum(y, c)
    }
    planner.define(node, y)
  }

  /// Plans a product as NumPy's matmul: matrices are in the last two dimensions, vectors are matrices of one row or column, and
  /// the other dimensions are broadcast if they have one element.
  static func matMul(_ node: Node, _ planner: Planner) throws {
    let (left, right) = (try planner.value(node, 0), try planner.value(node, 1))
    guard !left.shape.isEmpty, !right.shape.isEmpty else { throw Failure(.damagedFile, "a number is no matrix") }
    let isMatrix = right.shape.count == 2
    var (a, b) = (try planner.computed(left), try isMatrix ? planner.matrix(right, transposed: false) : planner.computed(right))
    let (isRow, isColumn) = (a.shape.count == 1, b.shape.count == 1)
    if isRow { a = a.inserting(0) }
    if isColumn { b = b.inserting(1) }
    guard a.shape[a.shape.count - 1] == b.shape[b.shape.count - 2] else {
      throw Failure(.mismatch, "\(describe(left.shape)) by \(describe(right.shape)) cannot be multiplied")
    }
    var y = try b.shape.count == 2 ? planner.rows(a, times: b) : planner.products(a, b)
    if isRow { y = y.removing(y.shape.count - 2) }
    if isColumn { y = y.removing(y.shape.count - 1) }
    planner.define(node, y)
  }
}

extension Planner {
  /// Returns a matrix as an operand. A constant matrix is transposed before it goes to the device.
  fileprivate func matrix(_ value: Value, transposed: Bool) throws -> Computed {
    guard transposed else { return try computed(value) }
    switch value {
    case .computed(let x): return x.transposed([1, 0])
    case .constant(let constant):
      try count(constant)
      return try computed(.constant(constant.transposed([1, 0])))
    }
  }

  /// Plans a [m,k] · b [k,n]; both may be stored transposed.
  fileprivate func product(_ a: Computed, _ b: Computed) throws -> Computed {
    let y = try new([a.shape[0], b.shape[1]])
    func stored(_ x: Computed) -> (shape: Shape, transposed: Bool) {
      let isPlain = x.lies(in: [0, 1])
      return (isPlain ? [x.shape[0], x.shape[1]] : [x.shape[1], x.shape[0]], !isPlain)
    }
    let (left, right) = (stored(a), stored(b))
    step(reads: [a, b], writes: [y]) {
      try $0.backend.multiply(
        $0[a, left.shape], transposed: left.transposed, $0[b, right.shape], transposed: right.transposed, into: $0[y])
    }
    return y
  }

  /// Plans a [..., m, k] · b [k,n], with all rows of a as one matrix.
  fileprivate func rows(_ a: Computed, times b: Computed) throws -> Computed {
    let (others, k) = (Array(a.shape.dropLast()), a.shape[a.shape.count - 1])
    if a.shape.count == 2 { return try product(a, b) }
    let matrix = try arranged(a).reshaped([others.reduce(1, *), k])
    return try product(matrix, b).reshaped(others + [b.shape[1]])
  }

  /// Plans a [..., m, k] · b [..., k, n], matrix by matrix.
  fileprivate func products(_ a: Computed, _ b: Computed) throws -> Computed {
    let outer = try Operator.broadcast(Array(a.shape.dropLast(2)), Array(b.shape.dropLast(2)))
    let (m, k, n) = (a.shape[a.shape.count - 2], a.shape[a.shape.count - 1], b.shape[b.shape.count - 1])
    let shapes = (outer + [m, k], outer + [k, n])
    let left = try broadcast(a, to: shapes.0, order: Array(shapes.0.indices))
    let right = try broadcast(b, to: shapes.1, order: Array(shapes.1.indices))
    let y = try new(outer + [m, n])
    step(reads: [left, right], writes: [y]) { run in
      let backend = run.backend
      let (x, z, c) = (try backend.tensor([m, k]), try backend.tensor([k, n]), try backend.tensor([m, n]))
      func piece(_ count: Int, from start: Int = 0, to end: Int = 0) -> StridedCopy {
        StridedCopy(extents: [count], from: .init(start: start, strides: [1]), to: .init(start: end, strides: [1]))
      }
      for i in 0..<outer.reduce(1, *) {
        try backend.rearrange(run[left], piece(m * k, from: i * m * k), into: x)
        try backend.rearrange(run[right], piece(k * n, from: i * k * n), into: z)
        try backend.multiply(x, transposed: false, z, transposed: false, into: c)
        try backend.rearrange(c, piece(m * n, to: i * m * n), into: run[y])
      }
    }
    return y
  }

  /// Plans factor·x.
  func scaled(_ x: Computed, _ factor: Float) throws -> Computed {
    if factor == 1 { return x }
    let y = try new(x.shape, order: x.order)
    let constants = parameter([], "factor \(factor.bitPattern)") { backend in
      try [0, 1, factor].map { try backend.upload(HostTensor([$0], shape: [1])) }
    }
    let column: Shape = [x.shape.reduce(1, *), 1]
    step(reads: [x], writes: [y]) { run in
      let made = try run.parameter(constants)
      let channels = BatchNormChannels(mean: made[0], inverseDeviation: made[1], scale: made[2], bias: made[0])
      try run.backend.batchNorm(run[x, column], channels, residual: nil, relu: false, into: run[y, column])
    }
    return y
  }

  /// Plans y + c in place, where c may have to be broadcast; y [m,n] is row-major and has no other user.
  fileprivate func sum(_ y: Computed, _ c: Computed) throws -> Computed {
    if c.shape.reduce(1, *) == y.shape[1], c.shape.last == y.shape[1] {
      step(reads: [c, y], writes: [y]) { try $0.backend.addBias($0[c, [y.shape[1]]], to: $0[y]) }
      return y
    }
    let terms = try broadcast(c, to: y.shape, order: y.order)
    step(reads: [terms, y], writes: [y]) { try $0.backend.add($0[y], $0[terms], relu: false, into: $0[y]) }
    return y
  }
}
