import Compute

extension OpenCLBackend {
  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws {
    check(.add(a, b, relu: relu, into: y))
    try elementwise("add", y.count, ["RELU": relu ? 1 : 0], y.type, [.buffer(a.buffer), .buffer(b.buffer), .buffer(y.buffer)])
  }

  public func relu(_ x: Tensor, into y: Tensor) throws {
    check(.relu(x, into: y))
    try elementwise("relu", y.count, [:], y.type, [.buffer(x.buffer), .buffer(y.buffer)])
  }

  public func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) throws {
    check(.clip(x, lower: lower, upper: upper, into: y))
    try elementwise(
      "clip", y.count, [:], y.type, [.buffer(x.buffer), .buffer(y.buffer)], [.float(Float(lower)), .float(Float(upper))])
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws {
    check(.reluGradient(dy, y: y, into: dx))
    try elementwise("relu_gradient", y.count, [:], dx.type, [.buffer(dy.buffer), .buffer(y.buffer), .buffer(dx.buffer)])
  }

  /// Launches a kernel that includes `elements.h` over `count` elements. The number of vectors goes between the buffers and the
  /// constants.
  func elementwise(
    _ kernel: String, of file: String = "elementwise.cl", _ count: Int, _ defines: KeyValuePairs<String, Int>,
    _ type: DataType, _ buffers: [Argument],
    _ constants: [Argument] = []
  ) throws {
    let width = traits.vectorWidth(dividing: count)
    let vectors = count / width
    try launch(
      KernelSpecialization(file, kernel, defines, ["VW": width], type.storage),
      on: traits.grid(items: elementwiseItems(vectors)),
      buffers + [.int(vectors)] + constants)
  }

  /// Returns the number of work-items. On a CPU each takes a block of at least 256 vectors, because smaller blocks are not worth
  /// it.
  func elementwiseItems(_ vectors: Int) -> Int {
    min(max(1, vectors / (traits.kernelClass == .registerTiled ? 256 : 1)), traits.wantedItems * 4)
  }
}
