/// Linear algebra.
public protocol LinearOperations {
  /// Computes c = a·b for row-major matrices, each transposed first if requested: a [m,k] (or [k,m]), b [k,n] (or [n,k]), c
  /// [m,n].
  func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws
  /// Adds a bias to each row: y[m,:] += bias. y [M,C], bias [C].
  func addBias(_ bias: Tensor, to y: Tensor) throws
  /// Computes sum[c] = Σ_m x[m,c]. x [M,C].
  func sumRows(_ x: Tensor, into sum: Tensor) throws
}

extension OperationContract {
  /// Contract of ``LinearOperations/multiply(_:transposed:_:transposed:into:)``. If the matrices belong to a batch, c = a·b and
  /// c = a·bᵀ treat the rows of a and c as images, and c = aᵀ·b is a sum over the images. aᵀ·bᵀ has no images.
  package static func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) -> Self {
    require(a, rank: 2, "multiply", "a")
    require(b, rank: 2, "multiply", "b")
    let product = MatrixProduct(a.shape, transposed: ta, b.shape, transposed: tb)
    let layouts: (a: Layout, b: Layout, c: Layout) =
      switch (ta, tb) {
      case (false, _): (.perImage, .onEveryDevice, .perImage)
      case (true, false): (.perImage, .perImage, .sumOverImages)
      case (true, true): (.onEveryDevice, .onEveryDevice, .onEveryDevice)
      }
    return Self(
      "multiply", "\(product)", macs: product.m * product.n * product.k, workspace: .multiply(product),
      [
        .read("a", a, a.shape, .scalar, layouts.a), .read("b", b, b.shape, .scalar, layouts.b),
        .write("c", c, [product.m, product.n], .scalar, layouts.c),
      ]
    ) { try $0.multiply($1["a"], transposed: ta, $1["b"], transposed: tb, into: $1["c"]) }
  }

  /// Contract of ``LinearOperations/addBias(_:to:)``.
  package static func addBias(_ bias: Tensor, to y: Tensor) -> Self {
    require(y, rank: 2, "addBias", "y")
    return Self("addBias", "\(y.shape)", [.read("bias", bias, [y.shape[1]]), .update("y", y, y.shape, .scalar, .perImage)]) {
      try $0.addBias($1["bias"], to: $1["y"])
    }
  }

  /// Contract of ``LinearOperations/sumRows(_:into:)``.
  package static func sumRows(_ x: Tensor, into sum: Tensor) -> Self {
    require(x, rank: 2, "sumRows", "x")
    return Self(
      "sumRows", "\(x.shape)",
      [.read("x", x, x.shape, .scalar, .perImage), .write("sum", sum, [x.shape[1]], .scalar, .sumOverImages)]
    ) { try $0.sumRows($1["x"], into: $1["sum"]) }
  }
}

extension ContractBackend {
  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) throws {
    try perform(.multiply(a, transposed: ta, b, transposed: tb, into: c))
  }

  public func addBias(_ bias: Tensor, to y: Tensor) throws { try perform(.addBias(bias, to: y)) }

  public func sumRows(_ x: Tensor, into sum: Tensor) throws { try perform(.sumRows(x, into: sum)) }
}
