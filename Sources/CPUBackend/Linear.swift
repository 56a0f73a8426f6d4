import Compute

extension CPUBackend {
  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) {
    check(.multiply(a, transposed: ta, b, transposed: tb, into: c))
    isDouble ? product(Double.self, a, ta, b, tb, c) : product(Float.self, a, ta, b, tb, c)
  }

  public func addBias(_ bias: Tensor, to y: Tensor) {
    check(.addBias(bias, to: y))
    isDouble ? biasSum(Double.self, bias, y) : biasSum(Float.self, bias, y)
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) {
    check(.sumRows(x, into: sum))
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
  let (m, n, k) = (c.shape[0], c.shape[1], a.shape[ta ? 0 : 1])
  let aElements = pointer(a, to: T.self)
  let bElements = pointer(b, to: T.self)
  let cElements = pointer(c, to: T.self)
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
  let (rows, columns) = (y.shape[0], y.shape[1])
  let bias = pointer(bias, to: T.self)
  let y = pointer(y, to: T.self)
  for row in 0..<rows {
    for column in 0..<columns { y[row * columns + column] += bias[column] }
  }
}

private func rowSum<T: CPUScalar>(_: T.Type, _ x: Tensor, _ sum: Tensor) {
  let (rows, columns) = (x.shape[0], x.shape[1])
  let x = pointer(x, to: T.self)
  let sum = pointer(sum, to: T.self)
  withZeros(columns) { sums in
    for row in 0..<rows { addScaled(1, x + row * columns, to: sums, count: columns) }
    for column in 0..<columns { sum[column] = T(sums[column]) }
  }
}
