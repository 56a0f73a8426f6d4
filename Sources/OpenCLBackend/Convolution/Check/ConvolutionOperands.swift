import Compute

/// Operands of one pass of a convolution on a device.
struct ConvolutionOperands {
  let x, filter, y: Tensor
  /// Operation after a convolution in inference; nil in training.
  let epilogue: ConvolutionEpilogue?

  /// Returns the operand that a pass writes.
  func result(of pass: ConvolutionPass) -> Tensor {
    switch pass {
    case .forward, .forwardWithStatistics, .inference: y
    case .inputGradient: x
    case .filterGradient: filter
    }
  }
}

extension OpenCLBackend {
  /// Makes the operands of a pass. Their contents are undefined.
  func operands(of work: ConvolutionWork) throws -> ConvolutionOperands {
    let g = work.geometry
    let (x, y) = (try tensor(g.input, work.storage), try tensor(g.output, work.storage))
    let filter = try tensor(g.filter)
    guard work.pass == .inference else { return ConvolutionOperands(x: x, filter: filter, y: y, epilogue: nil) }
    // A filter is prepared before the operation after the convolution is known. On GPUs the largest epilogue represents all of
    // them; on CPUs, whose compilers are slow, it is the usual one.
    let residual = traits.kernelClass == .localTiled ? try tensor(g.output, work.storage) : nil
    let (scale, bias) = (try tensor([g.k]), try tensor([g.k]))
    return ConvolutionOperands(
      x: x, filter: filter, y: y,
      epilogue: ConvolutionEpilogue(scale: scale, bias: bias, residual: residual, relu: true))
  }

  /// Enqueues a pass.
  /// - Returns: moments of chunks of y [chunks,3,K] if the pass takes statistics; nil otherwise.
  @discardableResult
  func enqueue(_ planned: PlannedWork, on operands: ConvolutionOperands) throws -> Tensor? {
    let (work, g) = (planned.work, planned.work.geometry)
    let (x, filter, y) = (operands.x, operands.filter, operands.y)
    switch work.pass {
    case .forward: try run(work, x, filter, into: y, planned.math)
    case .forwardWithStatistics: return try convolutionTakingMoments(x, filter: filter, g, into: y)
    case .inference:
      guard let epilogue = operands.epilogue else { preconditionFailure("[convolution] inference without an epilogue") }
      let prepared = try tensor([plannedFilterCount(g, x.type)])
      try prepareFilter(filter, g, x.type, into: prepared)
      try convolution(x, prepared: prepared, g, epilogue, into: y)
    case .inputGradient: try run(work, y, filter, into: x, planned.math)
    case .filterGradient: try run(work, x, y, into: filter, planned.math)
    }
    return nil
  }
}
