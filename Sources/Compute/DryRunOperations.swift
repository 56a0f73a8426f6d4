/// Operations of a dry run: the required shapes and the multiply-accumulates of each.
extension DryRunBackend {
  /// Requires a tensor of the given shape. Its type must be the given one, or the backend's scalar type if none is given.
  func require(_ tensor: Tensor, _ shape: Shape, _ operation: String, _ type: DataType? = nil) {
    let type = type ?? scalar
    precondition(
      tensor.shape == shape && tensor.type == type,
      "[\(operation)] \(tensor.shape) of \(tensor.type) where \(shape) of \(type) is due")
  }

  /// Returns the type of activations in an operation, which is the type of its first one: ``scalar`` or a 16-bit type.
  func storage(_ tensor: Tensor, _ operation: String) -> DataType {
    precondition(
      tensor.type == scalar || tensor.type == .float16 || tensor.type == .bfloat16, "[\(operation)] activations of \(tensor.type)"
    )
    return tensor.type
  }

  /// Returns the last dimension of x [..., C].
  func channels(of x: Tensor, _ operation: String) -> Int {
    guard let c = x.shape.dimensions.last else { preconditionFailure("[\(operation)] a scalar has no channels") }
    return c
  }

  /// Returns a shape and the names of the options that hold.
  func detail(_ shape: Shape, _ options: [(holds: Bool, name: String)]) -> String {
    ([shape.description] + options.filter(\.holds).map(\.name)).joined(separator: ", ")
  }

  // MARK: Convolution

  public func convolution(_ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor) {
    let type = storage(x, "convolution")
    require(x, geometry.input, "convolution", type)
    require(filter, geometry.filter, "convolution")
    require(y, geometry.output, "convolution", type)
    log(
      "convolution", "\(geometry)", reads: [x, filter], writes: [y], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forward, geometry, type))
    ) { try $0.convolution($1[0], filter: $1[1], geometry, into: $1[2]) }
  }

  public func convolution(
    _ x: Tensor, filter: Tensor, _ geometry: Conv2D, into y: Tensor, _ statistics: BatchNormStatistics
  ) {
    let type = storage(x, "convolution")
    require(x, geometry.input, "convolution", type)
    require(filter, geometry.filter, "convolution")
    require(y, geometry.output, "convolution", type)
    precondition(y.count > geometry.k, "[convolution] \(y.shape) has one value a channel, statistics need two")
    let (running, results) = (
      [statistics.runningMean, statistics.runningVariance], [statistics.mean, statistics.inverseDeviation]
    )
    for tensor in running + results { require(tensor, [geometry.k], "convolution") }
    let (epsilon, momentum) = (statistics.epsilon, statistics.momentum)
    log(
      "convolution", "\(geometry), statistics", reads: [x, filter], updates: running, writes: [y] + results, macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.forwardWithStatistics, geometry, type))
    ) {
      try $0.convolution(
        $1[0], filter: $1[1], geometry, into: $1[4],
        BatchNormStatistics(
          epsilon: epsilon, momentum: momentum, mean: $1[5], inverseDeviation: $1[6], runningMean: $1[2], runningVariance: $1[3]))
    }
  }

  public func convolution(
    _ x: Tensor, prepared: Tensor, _ geometry: Conv2D, _ epilogue: ConvolutionEpilogue, into y: Tensor
  ) {
    let type = storage(x, "convolution")
    require(x, geometry.input, "convolution", type)
    require(prepared, [preparedFilterCount(geometry, type)], "convolution")
    for tensor in [y] + (epilogue.residual.map { [$0] } ?? []) { require(tensor, geometry.output, "convolution", type) }
    for tensor in [epilogue.scale, epilogue.bias] { require(tensor, [geometry.k], "convolution") }
    let reads = [x, prepared, epilogue.scale, epilogue.bias] + (epilogue.residual.map { [$0] } ?? [])
    let (isResidual, relu) = (epilogue.residual != nil, epilogue.relu)
    let detail = ([geometry.description, "folded"] + (isResidual ? ["residual"] : []) + (relu ? ["relu"] : [])).joined(
      separator: ", ")
    log(
      "convolution", detail, reads: reads, writes: [y], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.inference, geometry, type))
    ) {
      let epilogue = ConvolutionEpilogue(scale: $1[2], bias: $1[3], residual: isResidual ? $1[4] : nil, relu: relu)
      try $0.convolution($1[0], prepared: $1[1], geometry, epilogue, into: $1[$1.count - 1])
    }
  }

  public func preparedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int { plannedFilterCount(geometry, storage) }

  public func plannedFilterCount(_ geometry: Conv2D, _ storage: DataType) -> Int {
    modelled?.plannedFilterCount(geometry, storage) ?? geometry.filter.count
  }

  public func prepareFilter(_ filter: Tensor, _ geometry: Conv2D, _ storage: DataType, into prepared: Tensor) {
    require(filter, geometry.filter, "prepareFilter")
    require(prepared, [preparedFilterCount(geometry, storage)], "prepareFilter")
    log("prepareFilter", "\(geometry)", reads: [filter], writes: [prepared]) {
      try $0.prepareFilter($1[0], geometry, storage, into: $1[1])
    }
  }

  public func convolutionInputGradient(
    _ dy: Tensor, filter: Tensor, _ geometry: Conv2D, accumulate: Bool, into dx: Tensor
  ) {
    let type = storage(dy, "convolutionInputGradient")
    require(dy, geometry.output, "convolutionInputGradient", type)
    require(filter, geometry.filter, "convolutionInputGradient")
    require(dx, geometry.input, "convolutionInputGradient", type)
    log(
      "convolutionInputGradient", "\(geometry)\(accumulate ? ", added" : "")", reads: [dy, filter],
      updates: accumulate ? [dx] : [], writes: accumulate ? [] : [dx], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.inputGradient, geometry, type, accumulates: accumulate))
    ) { try $0.convolutionInputGradient($1[0], filter: $1[1], geometry, accumulate: accumulate, into: $1[2]) }
  }

  public func convolutionFilterGradient(_ x: Tensor, _ dy: Tensor, _ geometry: Conv2D, into dw: Tensor) {
    let type = storage(x, "convolutionFilterGradient")
    require(x, geometry.input, "convolutionFilterGradient", type)
    require(dy, geometry.output, "convolutionFilterGradient", type)
    require(dw, geometry.filter, "convolutionFilterGradient")
    log(
      "convolutionFilterGradient", "\(geometry)", reads: [x, dy], writes: [dw], macs: geometry.macs,
      workspace: .convolution(ConvolutionWork(.filterGradient, geometry, type))
    ) { try $0.convolutionFilterGradient($1[0], $1[1], geometry, into: $1[2]) }
  }

  // MARK: Pooling

  public func maxPool(_ x: Tensor, _ geometry: Pool2D, into y: Tensor, positions: Tensor) {
    let type = storage(x, "maxPool")
    require(x, geometry.input, "maxPool", type)
    require(y, geometry.output, "maxPool", type)
    require(positions, geometry.output, "maxPool", .uint8)
    log("maxPool", "\(geometry)", reads: [x], writes: [y, positions]) {
      try $0.maxPool($1[0], geometry, into: $1[1], positions: $1[2])
    }
  }

  public func maxPoolGradient(_ dy: Tensor, positions: Tensor, _ geometry: Pool2D, into dx: Tensor) {
    let type = storage(dy, "maxPoolGradient")
    require(dy, geometry.output, "maxPoolGradient", type)
    require(positions, geometry.output, "maxPoolGradient", .uint8)
    require(dx, geometry.input, "maxPoolGradient", type)
    // This position of every window lies inside the image if less than half of the window is padding.
    let inside = geometry.padding * geometry.window + geometry.padding
    log("maxPoolGradient", "\(geometry)", reads: [dy, positions], writes: [dx], integers: inside) {
      try $0.maxPoolGradient($1[0], positions: $1[1], geometry, into: $1[2])
    }
  }

  public func pool(_ x: Tensor, _ geometry: WindowPool, into y: Tensor) {
    require(x, geometry.input, "pool")
    require(y, geometry.output, "pool")
    log("pool", "\(geometry)", reads: [x], writes: [y]) { try $0.pool($1[0], geometry, into: $1[1]) }
  }

  public func globalAveragePool(_ x: Tensor, into y: Tensor) {
    precondition(x.shape.rank == 4, "[globalAveragePool] \(x.shape)")
    require(x, x.shape, "globalAveragePool", storage(x, "globalAveragePool"))
    require(y, [x.shape[0], x.shape[3]], "globalAveragePool")
    log("globalAveragePool", "\(x.shape)", reads: [x], writes: [y]) { try $0.globalAveragePool($1[0], into: $1[1]) }
  }

  public func globalAveragePoolGradient(_ dy: Tensor, into dx: Tensor) {
    precondition(dx.shape.rank == 4, "[globalAveragePoolGradient] \(dx.shape)")
    require(dx, dx.shape, "globalAveragePoolGradient", storage(dx, "globalAveragePoolGradient"))
    require(dy, [dx.shape[0], dx.shape[3]], "globalAveragePoolGradient")
    log("globalAveragePoolGradient", "\(dx.shape)", reads: [dy], writes: [dx]) {
      try $0.globalAveragePoolGradient($1[0], into: $1[1])
    }
  }

  // MARK: Linear algebra and elementwise operations

  public func multiply(_ a: Tensor, transposed ta: Bool, _ b: Tensor, transposed tb: Bool, into c: Tensor) {
    let product = MatrixProduct(a.shape, transposed: ta, b.shape, transposed: tb)
    require(a, a.shape, "multiply")
    require(b, b.shape, "multiply")
    require(c, [product.m, product.n], "multiply")
    log(
      "multiply", "\(product)", reads: [a, b], writes: [c], macs: product.m * product.n * product.k,
      workspace: .multiply(product)
    ) { try $0.multiply($1[0], transposed: ta, $1[1], transposed: tb, into: $1[2]) }
  }

  public func addBias(_ bias: Tensor, to y: Tensor) {
    precondition(y.shape.rank == 2, "[addBias] \(y.shape)")
    require(y, y.shape, "addBias")
    require(bias, [y.shape[1]], "addBias")
    log("addBias", "\(y.shape)", reads: [bias], updates: [y], writes: []) { try $0.addBias($1[0], to: $1[1]) }
  }

  public func sumRows(_ x: Tensor, into sum: Tensor) {
    precondition(x.shape.rank == 2, "[sumRows] \(x.shape)")
    require(x, x.shape, "sumRows")
    require(sum, [x.shape[1]], "sumRows")
    log("sumRows", "\(x.shape)", reads: [x], writes: [sum]) { try $0.sumRows($1[0], into: $1[1]) }
  }

  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) {
    let type = storage(a, "add")
    for tensor in [a, b, y] { require(tensor, a.shape, "add", type) }
    log("add", detail(y.shape, [(relu, "relu")]), reads: [a, b], inPlace: [a, b], writes: [y]) {
      try $0.add($1[0], $1[1], relu: relu, into: $1[2])
    }
  }

  public func relu(_ x: Tensor, into y: Tensor) {
    let type = storage(x, "relu")
    for tensor in [x, y] { require(tensor, x.shape, "relu", type) }
    log("relu", "\(x.shape)", reads: [x], inPlace: [x], writes: [y]) { try $0.relu($1[0], into: $1[1]) }
  }

  public func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) {
    for tensor in [x, y] { require(tensor, x.shape, "clip") }
    log("clip", "\(x.shape) to \(lower) … \(upper)", reads: [x], inPlace: [x], writes: [y]) {
      try $0.clip($1[0], lower: lower, upper: upper, into: $1[1])
    }
  }

  public func rearrange(_ x: Tensor, _ copy: StridedCopy, into y: Tensor) {
    require(x, x.shape, "rearrange")
    require(y, y.shape, "rearrange")
    precondition(
      copy.reach(copy.from) <= x.count && copy.reach(copy.to) <= y.count, "[rearrange] \(copy) of \(x.shape) into \(y.shape)")
    log("rearrange", "\(copy)", reads: [x], writes: [y]) { try $0.rearrange($1[0], copy, into: $1[1]) }
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) {
    let type = storage(dy, "reluGradient")
    for tensor in [dy, y, dx] { require(tensor, dy.shape, "reluGradient", type) }
    log("reluGradient", "\(dx.shape)", reads: [dy, y], inPlace: [dy], writes: [dx]) {
      try $0.reluGradient($1[0], y: $1[1], into: $1[2])
    }
  }

  public func padShortcut(_ x: Tensor, stride: Int, into y: Tensor) {
    checkPadShortcut(x, stride, y, "padShortcut")
    log("padShortcut", "\(x.shape) → \(y.shape)", reads: [x], writes: [y]) {
      try $0.padShortcut($1[0], stride: stride, into: $1[1])
    }
  }

  public func padShortcutGradient(_ dy: Tensor, stride: Int, accumulate: Bool, into dx: Tensor) {
    checkPadShortcut(dx, stride, dy, "padShortcutGradient")
    log(
      "padShortcutGradient", "\(dx.shape) → \(dy.shape)\(accumulate ? ", added" : "")", reads: [dy],
      updates: accumulate ? [dx] : [], writes: accumulate ? [] : [dx]
    ) { try $0.padShortcutGradient($1[0], stride: stride, accumulate: accumulate, into: $1[1]) }
  }

  private func checkPadShortcut(_ x: Tensor, _ stride: Int, _ y: Tensor, _ operation: String) {
    let (from, to) = (x.shape, y.shape)
    precondition(
      from.rank == 4 && to.rank == 4 && stride > 0 && to[3] >= from[3], "[\(operation)] \(from) to \(to), stride \(stride)")
    let type = storage(x, operation)
    require(x, from, operation, type)
    require(y, [from[0], (from[1] + stride - 1) / stride, (from[2] + stride - 1) / stride, to[3]], operation, type)
  }
}
