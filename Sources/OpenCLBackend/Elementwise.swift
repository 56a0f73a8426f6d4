import Compute
import Kernels

extension OpenCLBackend {
  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws {
    precondition(a.count == b.count && a.count == y.count, "[add] \(a.shape) + \(b.shape) → \(y.shape)")
    try elementwise("add", y.count, ["RELU": relu ? 1 : 0], [.buffer(a.buffer), .buffer(b.buffer), .buffer(y.buffer)])
  }

  public func relu(_ x: Tensor, into y: Tensor) throws {
    precondition(x.count == y.count, "[relu] \(x.shape) → \(y.shape)")
    try elementwise("relu", y.count, [:], [.buffer(x.buffer), .buffer(y.buffer)])
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws {
    precondition(dy.count == y.count && dy.count == dx.count, "[reluGradient] \(dy.shape), \(y.shape) → \(dx.shape)")
    try elementwise("relu_gradient", y.count, [:], [.buffer(dy.buffer), .buffer(y.buffer), .buffer(dx.buffer)])
  }

  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule) throws {
    precondition(
      weights.count == gradients.count && weights.count == velocity.count,
      "[sgdStep] \(weights.shape), \(gradients.shape), \(velocity.shape)")
    try elementwise(
      "sgd_step", weights.count, ["NESTEROV": rule.nesterov ? 1 : 0],
      [.buffer(weights.buffer), .buffer(gradients.buffer), .buffer(velocity.buffer)],
      [.float(Float(rule.learningRate)), .float(Float(rule.momentum)), .float(Float(rule.weightDecay))])
  }

  /// Launches a kernel of `elementwise.cl` over `count` elements; the number of vectors goes between buffers and constants.
  private func elementwise(
    _ kernel: String, _ count: Int, _ defines: KeyValuePairs<String, Int>, _ buffers: [Argument], _ constants: [Argument] = []
  ) throws {
    let width = traits.vectorWidth(dividing: count)
    let vectors = count / width
    var specialisation = Specialisation(.elementwise, kernel, defines)
    specialisation.add(["VW": width])
    // Blocks of at least 256 vectors: less is not worth a work-item on a CPU.
    let items = min(max(1, vectors / (traits.kernelClass == .registerTiled ? 256 : 1)), traits.wantedItems * 4)
    try launch(specialisation, on: traits.grid(items: items), buffers + [.int(vectors)] + constants)
  }
}
