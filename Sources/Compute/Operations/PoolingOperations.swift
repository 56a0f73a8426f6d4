/// Pooling over windows and over whole images.
public protocol PoolingOperations {
  /// Writes the largest value of each window and its position r·window + s in the window. The first of several equal values
  /// counts; a NaN wins. x [N,H,W,C], y [N,P,Q,C], positions uint8 [N,P,Q,C].
  func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) throws
  /// Computes dx = Σ of dy over the windows in which the pixel was the largest value. dy, positions [N,P,Q,C], dx [N,H,W,C].
  func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) throws
  /// Pools over any window, for inference: x [N,H,W,C] → y [N,P,Q,C], both of ``Backend/scalar`` type.
  func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) throws
  /// Shrinks images: each result is the mean over its rectangle of the image, in which pixels at the edge count by their part
  /// within. x [N,H,W,C] → y [N,P,Q,C], 0 < P ≤ H, 0 < Q ≤ W.
  func shrink(_ x: Tensor, into y: Tensor) throws
  /// Computes the mean over the pixels: x [N,H,W,C] → y [N,C].
  func globalAveragePool(_ x: Tensor, into y: Tensor) throws
  /// Computes dx = dy / (H·W) at every pixel. dy [N,C], dx [N,H,W,C].
  func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) throws
}

extension OperationContract {
  /// Contract of ``PoolingOperations/maxPool(_:_:into:positions:)``.
  package static func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) -> Self {
    Self(
      "maxPool", "\(geometry)",
      [
        .read("x", x, geometry.input, .activation), .write("y", y, geometry.output, .activation),
        .write("positions", positions, geometry.output, .uint8, .perImage),
      ]
    ) { try $0.maxPool($1["x"], geometry.batch(of: $1["x"].shape[0]), into: $1["y"], positions: $1["positions"]) }
  }

  /// Contract of ``PoolingOperations/maxPoolGradient(_:positions:_:into:)``.
  package static func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) -> Self {
    // This position of every window lies inside the image if less than half of the window is padding.
    let inside = geometry.padding * geometry.window + geometry.padding
    return Self(
      "maxPoolGradient", "\(geometry)", integers: inside,
      [
        .read("dy", dy, geometry.output, .activation), .read("positions", positions, geometry.output, .uint8, .perImage),
        .write("dx", dx, geometry.input, .activation),
      ]
    ) {
      let geometry = geometry.batch(of: $1["dy"].shape[0])
      try $0.maxPoolGradient($1["dy"], positions: $1["positions"], geometry, into: $1["dx"])
    }
  }

  /// Contract of ``PoolingOperations/pool(_:_:into:)``.
  package static func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) -> Self {
    Self(
      "pool", "\(geometry)",
      [.read("x", x, geometry.input, .scalar, .perImage), .write("y", y, geometry.output, .scalar, .perImage)]
    ) { try $0.pool($1["x"], geometry.batch(of: $1["x"].shape[0]), into: $1["y"]) }
  }

  /// Contract of ``PoolingOperations/shrink(_:into:)``.
  package static func shrink(_ x: Tensor, into y: Tensor) -> Self {
    require(x, rank: 4, "shrink", "x")
    require(y, rank: 4, "shrink", "y")
    let (from, to) = (x.shape, y.shape)
    require((1...from[1]).contains(to[1]) && (1...from[2]).contains(to[2]), "shrink", "\(from) → \(to)")
    return Self(
      "shrink", "\(from) → \(to)",
      [.read("x", x, from, .activation), .write("y", y, [from[0], to[1], to[2], from[3]], .activation)]
    ) { try $0.shrink($1["x"], into: $1["y"]) }
  }

  /// Contract of ``PoolingOperations/globalAveragePool(_:into:)``.
  package static func globalAveragePool(_ x: Tensor, into y: Tensor) -> Self {
    require(x, rank: 4, "globalAveragePool", "x")
    return Self(
      "globalAveragePool", "\(x.shape)",
      [.read("x", x, x.shape, .activation), .write("y", y, [x.shape[0], x.shape[3]], .scalar, .perImage)]
    ) { try $0.globalAveragePool($1["x"], into: $1["y"]) }
  }

  /// Contract of ``PoolingOperations/globalAveragePoolGradient(_:into:)``.
  package static func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) -> Self {
    require(dx, rank: 4, "globalAveragePoolGradient", "dx")
    return Self(
      "globalAveragePoolGradient", "\(dx.shape)",
      [.read("dy", dy, [dx.shape[0], dx.shape[3]], .scalar, .perImage), .write("dx", dx, dx.shape, .activation)]
    ) { try $0.globalAveragePoolGradient($1["dy"], into: $1["dx"]) }
  }
}

extension ContractBackend {
  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) throws {
    try perform(.maxPool(x, geometry, into: y, positions: positions))
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) throws {
    try perform(.maxPoolGradient(dy, positions: positions, geometry, into: dx))
  }

  public func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) throws { try perform(.pool(x, geometry, into: y)) }

  public func shrink(_ x: Tensor, into y: Tensor) throws { try perform(.shrink(x, into: y)) }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) throws { try perform(.globalAveragePool(x, into: y)) }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) throws {
    try perform(.globalAveragePoolGradient(dy, into: dx))
  }
}
