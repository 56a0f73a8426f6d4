import CKernelParameters
import Compute
import Glibc

extension OpenCLBackend {
  public func sgdStep(_ weights: Tensor, gradients: Tensor, velocity: Tensor, _ rule: SGDRule, _ use: GradientUse) throws {
    check(.sgdStep(weights, gradients: gradients, velocity: velocity, rule, use))
    try elementwise(
      "sgd_step", of: "optimizer.cl", weights.count,
      [
        "NESTEROV": rule.nesterov ? 1 : 0, "SCALED": use.lossScale == nil ? 0 : 1, "CLIPPED": use.maximumNorm == nil ? 0 : 1,
        "ADAPTED": rule.adaptation == nil ? 0 : 1,
      ], weights.type,
      [.buffer(weights.buffer), .buffer(gradients.buffer), .buffer(velocity.buffer)] + buffers(use, else: weights),
      [.structure(try rule.parameters(use))])
  }

  public func adamWStep(
    _ weights: Tensor, gradients: Tensor, mean: Tensor, square: Tensor, _ rule: AdamWRule, _ use: GradientUse
  ) throws {
    check(.adamWStep(weights, gradients: gradients, mean: mean, square: square, rule, use))
    try elementwise(
      "adamw_step", of: "optimizer.cl", weights.count,
      ["SCALED": use.lossScale == nil ? 0 : 1, "CLIPPED": use.maximumNorm == nil ? 0 : 1], weights.type,
      [.buffer(weights.buffer), .buffer(gradients.buffer), .buffer(mean.buffer), .buffer(square.buffer)]
        + buffers(use, else: weights),
      [.structure(try rule.parameters(use))])
  }

  /// Returns the buffers that the kernels of optimizer steps take from the gradients' use. A dummy replaces a missing buffer and
  /// is not read.
  private func buffers(_ use: GradientUse, else dummy: Tensor) -> [Argument] {
    [.buffer((use.lossScale ?? dummy).buffer), .buffer((use.norms ?? dummy).buffer)]
  }

  public func moveAverage(_ average: Tensor, toward x: Tensor, by share: Double) throws {
    check(.moveAverage(average, toward: x, by: share))
    try elementwise(
      "move_average", of: "optimizer.cl", x.count, [:], x.type, [.buffer(x.buffer), .buffer(average.buffer)],
      [.float(Float(share))])
  }

  public func squaredNorm(_ x: Tensor, into norms: Tensor, at index: Int) throws {
    check(.squaredNorm(x, into: norms, at: index))
    try reduce(x, "sum_squares", mergedBy: "add_squares", into: norms, .int(index))
  }

  public func updateLossScale(_ lossScale: Tensor, gradients: Tensor) throws {
    check(.updateLossScale(lossScale, gradients: gradients))
    try reduce(gradients, "find_infinities", mergedBy: "update_loss_scale", into: lossScale, .int(LossScale.growthInterval))
  }

  /// Reduces all elements to one result: first in blocks, whose results go lane by lane into a partial result, then the partial
  /// results.
  private func reduce(
    _ x: Tensor, _ kernel: String, mergedBy merger: String, into result: Tensor, _ constant: Argument
  ) throws {
    let partial = try reduceBlocks(x, kernel)
    let rest = traits.group(columns: 1, of: 1, rows: partial.count)
    try launch(
      KernelSpecialization("optimizer.cl", merger, ["VW": 1]), on: rest.grid(columns: 1),
      [.buffer(partial.buffer), .buffer(result.buffer), .int(partial.count), constant])
  }

  /// Reduces all elements in blocks.
  /// - Returns: the partial results, [blocks, lanes].
  func reduceBlocks(_ x: Tensor, _ kernel: String) throws -> Tensor {
    let width = traits.vectorWidth(dividing: x.count)
    let (group, blocks) = reductionBlocks(x.count)
    let partial = try tensor([blocks, width])
    try launch(
      KernelSpecialization("optimizer.cl", kernel, ["VW": width]), on: group.grid(columns: 1, blocks: blocks),
      [.buffer(x.buffer), .buffer(partial.buffer), .int(x.count / width)])
    return partial
  }

  /// Returns the work-group that shares one block, and the number of blocks in which so many elements are reduced.
  private func reductionBlocks(_ count: Int) -> (WorkGroup, Int) {
    let width = traits.vectorWidth(dividing: count)
    let group = traits.group(columns: 1, of: width, rows: count / width)
    return (group, (elementwiseItems(count / width) + group.rows - 1) / group.rows)
  }

  /// Returns the bytes of a partial result.
  func reductionWorkspace(_ count: Int) -> Int { reductionBlocks(count).1 * traits.vectorWidth(dividing: count) * 4 }
}

extension GradientUse {
  fileprivate var parameters: gradient_use_t {
    gradient_use_t(factor: Float(factor), largestNorm: Float(maximumNorm ?? 0))
  }
}

extension SGDRule {
  fileprivate func parameters(_ use: GradientUse) throws -> sgd_t {
    sgd_t(
      use: use.parameters, rate: Float(learningRate), momentum: Float(momentum), decay: Float(weightDecay),
      trust: Float(adaptation?.trust ?? 1), norms: try int32(adaptation?.index ?? 0))
  }
}

extension AdamWRule {
  fileprivate func parameters(_ use: GradientUse) throws -> adamw_t {
    adamw_t(
      use: use.parameters, rate: Float(learningRate), decay: Float(weightDecay), epsilon: Float(epsilon),
      log1: Float(log(beta1)), log2: Float(log(beta2)), rest1: Float(1 - beta1), rest2: Float(1 - beta2), step: try int32(step))
  }
}
