import Compute
import Kernels

extension OpenCLBackend {
  public func add(_ a: Tensor, _ b: Tensor, relu: Bool, into y: Tensor) throws {
    precondition(a.count == b.count && a.count == y.count, "[add] \(a.shape) + \(b.shape) → \(y.shape)")
    try elementwise("add", y.count, ["RELU": relu ? 1 : 0], y.type, [.buffer(a.buffer), .buffer(b.buffer), .buffer(y.buffer)])
  }

  public func relu(_ x: Tensor, into y: Tensor) throws {
    precondition(x.count == y.count, "[relu] \(x.shape) → \(y.shape)")
    try elementwise("relu", y.count, [:], y.type, [.buffer(x.buffer), .buffer(y.buffer)])
  }

  public func clip(_ x: Tensor, lower: Double, upper: Double, into y: Tensor) throws {
    precondition(x.count == y.count, "[clip] \(x.shape) → \(y.shape)")
    try elementwise(
      "clip", y.count, [:], y.type, [.buffer(x.buffer), .buffer(y.buffer)], [.float(Float(lower)), .float(Float(upper))])
  }

  public func reluGradient(_ dy: Tensor, y: Tensor, into dx: Tensor) throws {
    precondition(dy.count == y.count && dy.count == dx.count, "[reluGradient] \(dy.shape), \(y.shape) → \(dx.shape)")
    try elementwise("relu_gradient", y.count, [:], dx.type, [.buffer(dy.buffer), .buffer(y.buffer), .buffer(dx.buffer)])
  }

  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, lossScale: Tensor?) throws {
    precondition(
      weights.count == gradients.count && weights.count == velocity.count,
      "[sgdStep] \(weights.shape), \(gradients.shape), \(velocity.shape)")
    try elementwise(
      "sgd_step", weights.count, ["NESTEROV": rule.nesterov ? 1 : 0, "SCALED": lossScale == nil ? 0 : 1], weights.type,
      [.buffer(weights.buffer), .buffer(gradients.buffer), .buffer(velocity.buffer), .buffer((lossScale ?? weights).buffer)],
      [.float(Float(rule.learningRate)), .float(Float(rule.momentum)), .float(Float(rule.weightDecay))])
  }

  public func updateLossScale(_ lossScale: Tensor, gradients: Tensor) throws {
    precondition(lossScale.count == LossScale.count, "[updateLossScale] \(lossScale.shape)")
    let (group, blocks) = finitenessBlocks(gradients.count)
    let partial = try tensor([blocks])
    let width = traits.vectorWidth(dividing: gradients.count)
    try launch(
      Specialisation(.elementwise, "find_infinities", ["VW": width]), on: group.grid(columns: 1, blocks: blocks),
      [.buffer(gradients.buffer), .buffer(partial.buffer), .int(gradients.count / width)])
    let merger = traits.group(columns: 1, of: 1, rows: blocks)
    try launch(
      Specialisation(.elementwise, "update_loss_scale", ["VW": 1]), on: merger.grid(columns: 1),
      [.buffer(partial.buffer), .buffer(lossScale.buffer), .int(blocks), .int(LossScale.growthInterval)])
  }

  /// Parts in which gradients are searched for infinities, and who shares one.
  private func finitenessBlocks(_ count: Int) -> (WorkGroup, Int) {
    let width = traits.vectorWidth(dividing: count)
    let group = traits.group(columns: 1, of: width, rows: count / width)
    return (group, (elementwiseItems(count / width) + group.rows - 1) / group.rows)
  }

  func lossScaleWorkspace(_ count: Int) -> Int { finitenessBlocks(count).1 * 4 }

  /// Launches a kernel of `elementwise.cl` over `count` elements; the number of vectors goes between buffers and constants.
  private func elementwise(
    _ kernel: String, _ count: Int, _ defines: KeyValuePairs<String, Int>, _ type: DataType, _ buffers: [Argument],
    _ constants: [Argument] = []
  ) throws {
    let width = traits.vectorWidth(dividing: count)
    let vectors = count / width
    try launch(
      Specialisation(.elementwise, kernel, defines, ["VW": width], type.storage),
      on: traits.grid(items: elementwiseItems(vectors)),
      buffers + [.int(vectors)] + constants)
  }

  /// A CPU's work-item takes a block of at least 256 vectors: less is not worth it.
  private func elementwiseItems(_ vectors: Int) -> Int {
    min(max(1, vectors / (traits.kernelClass == .registerTiled ? 256 : 1)), traits.wantedItems * 4)
  }
}
