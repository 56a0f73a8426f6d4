import Compute

extension OpenCLBackend {
  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws {
    check(.multiply(a, transposed: ta, b, transposed: tb, into: c))
    let product = MatrixProduct(a.shape, transposed: ta, b.shape, transposed: tb)
    guard let work = tapConvolution(product) else { return try multiplyByCLBlast(a, b, product, into: c) }
    // Matrix products keep float32, because there are few of them.
    let shapes = work.shapes
    try run(work, a.reshaped(shapes.a), b.reshaped(shapes.b), into: c.reshaped(shapes.result), .exact)
  }

  /// Returns the convolution of a single tap that computes this product, for CPUs. CLBlast builds about thirty kernels before its
  /// first product, which takes PoCL longer than everything else that a small network needs. Besides, the convolutions are
  /// faster.
  func tapConvolution(_ product: MatrixProduct) -> ConvolutionWork? {
    guard traits.isCPU else { return nil }
    let (m, n, k) = (product.m, product.n, product.k)
    switch (product.transposedA, product.transposedB) {
    case (false, false): return ConvolutionWork(.forward, Conv2D(input: pixels(m, k), filter: [1, 1, k, n]))
    case (false, true): return ConvolutionWork(.inputGradient, Conv2D(input: pixels(m, n), filter: [1, 1, n, k]))
    case (true, false): return ConvolutionWork(.filterGradient, Conv2D(input: pixels(k, m), filter: [1, 1, m, n]))
    case (true, true): return nil
    }
  }

  /// Returns the shape of an image whose pixels are the rows of a matrix.
  private func pixels(_ rows: Int, _ channels: Int) -> Shape { [1, 1, rows, channels] }

  public func addBias(_ bias: Tensor, to y: Tensor) throws {
    check(.addBias(bias, to: y))
    let columns = bias.count
    let width = traits.vectorWidth(dividing: columns)
    try launch(
      KernelSpecialization("elementwise.cl", "add_bias", ["VW": width]), global: [columns / width, y.count / columns],
      [.buffer(bias.buffer), .buffer(y.buffer), .int(columns)])
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) throws {
    check(.sumRows(x, into: sum))
    let columns = sum.count
    let width = traits.vectorWidth(dividing: columns)
    let group = traits.group(columns: columns / width, of: width, rows: x.count / columns)
    try launch(
      KernelSpecialization("elementwise.cl", "sum_rows", ["VW": width]), on: group.grid(columns: columns / width),
      [.buffer(x.buffer), .buffer(sum.buffer), .int(x.count / columns), .int(columns)])
  }
}
