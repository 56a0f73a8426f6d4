/// Convolutions of training and inference.
public protocol ConvolutionOperations {
  /// Computes y = x ∗ filter. x [N,H,W,C], filter [R,S,C,K], y [N,P,Q,K].
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws
  /// Computes y = x ∗ filter, and the statistics of y as
  /// ``BatchNormOperations/batchNormStatistics(_:_:)`` does.
  func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics) throws
  /// Computes y = x ∗ filter for inference and applies the epilogue. `prepared` is the result of ``prepareFilter(_:_:_:into:)``
  /// for this geometry. The epilogue's residual may not be y.
  func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor) throws
  /// Converts a filter [R,S,C,K] to the form that this backend's inference needs for one geometry and one storage type of x and
  /// y: arranged in panels, or transformed. prepared [``preparedFilterCount(_:_:)``].
  func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws
  /// Returns the number of elements of a prepared filter.
  /// - Throws: if the device's compiler refuses all kernels for this convolution.
  func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int
  /// Returns ``preparedFilterCount(_:_:)`` as planned, without building a kernel, for dry runs.
  func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int
  /// Computes the gradient with respect to x; adds it to the contents of dx if `accumulate` is true. dy [N,P,Q,K], filter
  /// [R,S,C,K], dx [N,H,W,C].
  func convolutionInputGradient(_ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor) throws
  /// Computes the gradient with respect to the filter. x [N,H,W,C], dy [N,P,Q,K], dw [R,S,C,K].
  func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws
}

extension OperationContract {
  /// Contract of ``ConvolutionOperations/convolution(_:filter:_:into:)``.
  package static func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) -> Self {
    Self(
      "convolution", "\(geometry)", macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forward, geometry, x.type)),
      forward(x, filter, geometry) + [.write("y", y, geometry.output, .activation)]
    ) { try $0.convolution($1["x"], filter: $1["filter"], geometry.batch(of: $1["x"].shape[0]), into: $1["y"]) }
  }

  private static func forward(_ x: Tensor, _ filter: Tensor, _ geometry: Conv2D) -> [Operand] {
    [.read("x", x, geometry.input, .activation), .read("filter", filter, geometry.filter)]
  }

  /// Contract of ``ConvolutionOperations/convolution(_:filter:_:into:_:)``.
  package static func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) -> Self {
    require(y.count > geometry.k, "convolution", "\(y.shape) has one value a channel, statistics need two")
    let (epsilon, momentum) = (statistics.epsilon, statistics.momentum)
    return Self(
      "convolution", "\(geometry), statistics", macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forwardWithStatistics, geometry, x.type)),
      forward(x, filter, geometry) + statistics.updates([geometry.k]) + [.write("y", y, geometry.output, .activation)]
        + statistics.writes([geometry.k])
    ) {
      try $0.convolution(
        $1["x"], filter: $1["filter"], geometry.batch(of: $1["x"].shape[0]), into: $1["y"],
        $1.statistics(epsilon: epsilon, momentum: momentum))
    }
  }

  /// Contract of ``ShardBackend/convolution(_:filter:_:into:moments:)``.
  package static func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, moments: Tensor
  ) -> Self {
    Self(
      "convolution", "\(geometry), moments", macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forwardWithStatistics, geometry, x.type)),
      forward(x, filter, geometry) + [
        .write("y", y, geometry.output, .activation), .write("moments", moments, [3, geometry.k]),
      ]
    ) {
      try $0.sharding.convolution(
        $1["x"], filter: $1["filter"], geometry.batch(of: $1["x"].shape[0]), into: $1["y"], moments: $1["moments"])
    }
  }

  /// Contract of ``ConvolutionOperations/convolution(_:prepared:_:_:into:)``.
  /// - Parameter count: number of elements of the prepared filter on this backend. Each device has a form of its own.
  package static func convolution(
    _ x: Tensor, prepared: Tensor, _ count: Int, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) -> Self {
    let relu = epilogue.relu
    let residual = epilogue.residual.map { Operand.read("residual", $0, geometry.output, .activation) }
    let tags = ", folded" + (residual == nil ? "" : ", residual") + (relu ? ", relu" : "")
    return Self(
      "convolution", "\(geometry)\(tags)", macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.inference, geometry, x.type)),
      [
        .read("x", x, geometry.input, .activation), .read("prepared", prepared, [count]),
        .read("scale", epilogue.scale, [geometry.k]), .read("bias", epilogue.bias, [geometry.k]),
      ] + (residual.map { [$0] } ?? []) + [.write("y", y, geometry.output, .activation)]
    ) {
      let epilogue = ConvolutionEpilogue(scale: $1["scale"], bias: $1["bias"], residual: $1.optional("residual"), relu: relu)
      try $0.convolution($1["x"], prepared: $1["prepared"], geometry, epilogue, into: $1["y"])
    }
  }

  /// Contract of ``ConvolutionOperations/prepareFilter(_:_:_:into:)``.
  /// - Parameter count: number of elements of the prepared filter on this backend.
  package static func prepareFilter(
    _ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor, _ count: Int
  ) -> Self {
    Self(
      "prepareFilter", "\(geometry)", [.read("filter", filter, geometry.filter), .write("prepared", prepared, [count])]
    ) { try $0.prepareFilter($1["filter"], geometry, storage, into: $1["prepared"]) }
  }

  /// Contract of ``ConvolutionOperations/convolutionInputGradient(_:filter:_:accumulate:into:)``.
  package static func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) -> Self {
    Self(
      "convolutionInputGradient", "\(geometry)\(accumulate ? ", added" : "")", macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.inputGradient, geometry, dy.type, accumulates: accumulate)),
      [
        .read("dy", dy, geometry.output, .activation), .read("filter", filter, geometry.filter),
        accumulate ? .update("dx", dx, geometry.input, .activation) : .write("dx", dx, geometry.input, .activation),
      ]
    ) {
      let geometry = geometry.batch(of: $1["dy"].shape[0])
      try $0.convolutionInputGradient($1["dy"], filter: $1["filter"], geometry, accumulate: accumulate, into: $1["dx"])
    }
  }

  /// Contract of ``ConvolutionOperations/convolutionFilterGradient(_:_:_:into:)``.
  package static func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) -> Self {
    Self(
      "convolutionFilterGradient", "\(geometry)", macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.filterGradient, geometry, x.type)),
      [
        .read("x", x, geometry.input, .activation), .read("dy", dy, geometry.output, .activation),
        .write("dw", dw, geometry.filter, .scalar, .sumOverImages),
      ]
    ) { try $0.convolutionFilterGradient($1["x"], $1["dy"], geometry.batch(of: $1["x"].shape[0]), into: $1["dw"]) }
  }
}

extension ContractBackend {
  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) throws {
    try perform(.convolution(x, filter: filter, geometry, into: y))
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) throws { try perform(.convolution(x, filter: filter, geometry, into: y, statistics)) }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) throws { try perform(.convolution(x, prepared: prepared, plannedFilterCount(geometry, x.type), geometry, epilogue, into: y)) }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) throws -> Int {
    plannedFilterCount(geometry, storage)
  }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) throws {
    try perform(.prepareFilter(filter, geometry, storage, into: prepared, plannedFilterCount(geometry, storage)))
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) throws { try perform(.convolutionInputGradient(dy, filter: filter, geometry, accumulate: accumulate, into: dx)) }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) throws {
    try perform(.convolutionFilterGradient(x, dy, geometry, into: dw))
  }
}
