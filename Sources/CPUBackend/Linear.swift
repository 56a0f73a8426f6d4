import Compute

extension CPUBackend {
  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) {
    isDouble ? product(Double.self, a, ta, b, tb, c) : product(Float.self, a, ta, b, tb, c)
  }

  public func addBias(_ bias: Tensor, to y: Tensor) {
    isDouble ? biasSum(Double.self, bias, y) : biasSum(Float.self, bias, y)
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) {
    isDouble ? rowSum(Double.self, x, sum) : rowSum(Float.self, x, sum)
  }
}

/// Writes each [rows,columns] matrix transposed, in Double.
func transpose<T: CPUElement>(
  _ source: UnsafePointer<T>, matrices: Int, rows: Int, columns: Int, into destination: UnsafeMutablePointer<Double>
) {
  for i in 0..<matrices {
    for row in 0..<rows {
      for column in 0..<columns {
        destination[(i * columns + column) * rows + row] = source[(i * rows + row) * columns + column].double
      }
    }
  }
}

private func product<T: CPUScalar>(_: T.Type, _ a: Tensor, _ ta: Bool, _ b: Tensor, _ tb: Bool, _ c: Tensor) {
  precondition(a.shape.rank == 2 && c.shape.rank == 2, "[multiply] \(a.shape)·\(b.shape) into \(c.shape): not matrices")
  let (m, n, k) = (c.shape[0], c.shape[1], a.shape[ta ? 0 : 1])
  let aElements = pointer(a, ta ? [k, m] : [m, k], "multiply", to: T.self)
  let bElements = pointer(b, tb ? [n, k] : [k, n], "multiply", to: T.self)
  let cElements = pointer(c, [m, n], "multiply", to: T.self)
  let (rowStride, columnStride) = ta ? (1, m) : (k, 1)
  withZeros(k * n) { factors in  // [k,n]
    transpose(bElements, matrices: 1, rows: tb ? n : 1, columns: tb ? k : k * n, into: factors)
    inParallel(m) { row in
      withZeros(n) { sums in
        for i in 0..<k {
          addScaled(aElements[row * rowStride + i * columnStride].double, factors + i * n, to: sums, count: n)
        }
        for i in 0..<n { cElements[row * n + i] = T(sums[i]) }
      }
    }
  }
}

private func biasSum<T: CPUScalar>(_: T.Type, _ bias: Tensor, _ y: Tensor) {
  precondition(y.shape.rank == 2, "[addBias] \(y.shape) is no matrix")
  let (rows, columns) = (y.shape[0], y.shape[1])
  let bias = pointer(bias, [columns], "addBias", to: T.self)
  let y = pointer(y, y.shape, "addBias", to: T.self)
  for row in 0..<rows {
    for column in 0..<columns { y[row * columns + column] += bias[column] }
  }
}

private func rowSum<T: CPUScalar>(_: T.Type, _ x: Tensor, _ sum: Tensor) {
  precondition(x.shape.rank == 2, "[sumRows] \(x.shape) is no matrix")
  let (rows, columns) = (x.shape[0], x.shape[1])
  let x = pointer(x, x.shape, "sumRows", to: T.self)
  let sum = pointer(sum, [columns], "sumRows", to: T.self)
  withZeros(columns) { sums in
    for row in 0..<rows { addScaled(1, x + row * columns, to: sums, count: columns) }
    for column in 0..<columns { sum[column] = T(sums[column]) }
  }
}
