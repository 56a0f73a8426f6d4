import Compute
import Support

/// Constants of a batch normalization in inference, all [C].
struct Norm {
  let scale, bias, mean, variance: Constant
  let epsilon: Float

  /// - Throws: ``Failure`` for training, and if constants are missing or of another shape.
  init(_ node: Node, _ planner: Planner, channels: Int) throws {
    guard try !node.flag("training_mode") else {
      throw Failure(.unsupported, "training_mode is on, and only inference is supported")
    }
    guard try node.opset >= 9 || node.int("spatial", default: 1) == 1 else {
      throw Failure(.unsupported, "it normalizes each pixel on its own (spatial 0), which is not supported")
    }
    guard node.opset >= 14 || node.outputs.count == 1 else {
      throw Failure(
        .unsupported, "it has outputs of training, and only inference is supported",
        remedy: "export the model in evaluation mode")
    }
    if let output = (1..<max(1, node.outputs.count)).first(where: { planner.isUsed(node, $0) }) {
      throw Failure(.unsupported, "its output \(output) is of training, and only inference is supported")
    }
    (scale, bias) = (try planner.floats(node, 1, shape: [channels]), try planner.floats(node, 2, shape: [channels]))
    (mean, variance) = (try planner.floats(node, 3, shape: [channels]), try planner.floats(node, 4, shape: [channels]))
    epsilon = try node.float("epsilon", default: 1e-5)
    guard epsilon >= 0, variance.floats.allSatisfy({ $0 + epsilon > 0 }) else {
      throw Failure(.damagedFile, "a variance plus epsilon is not positive")
    }
  }

  var constants: [Constant] { [scale, bias, mean, variance] }
}

extension Operator {
  /// Plans a batch normalization that is not fused into a convolution, fused with the sum and the ReLU that follow.
  static func batchNormalization(_ node: Node, _ planner: Planner) throws {
    let input = try planner.computed(node, 0)
    guard input.shape.count >= 2 else {
      throw Failure(.unsupported, "its input is \(describe(input.shape)): there is no channel")
    }
    let norm = try Norm(node, planner, channels: input.shape[1])
    let x = try planner.arranged(input, input.order.filter { $0 != 1 } + [1])
    let y = try planner.new(x.shape, order: x.order)

    var name = node.outputs[0]
    let residual = try planner.takeSum(after: &name, shape: x.shape).map { try planner.arranged($0, x.order) }
    let relu = planner.takeRelu(after: &name)
    let channels = planner.parameter(norm.constants, "normalizing \(norm.epsilon)") { backend in
      let tensors = try norm.constants.map { try backend.upload(HostTensor($0.floats, shape: [$0.count])) }
      let inverseDeviation = try backend.tensor(tensors[0].shape)
      try backend.inverseDeviation(ofVariance: tensors[3], epsilon: Double(norm.epsilon), into: inverseDeviation)
      return [tensors[0], tensors[1], tensors[2], inverseDeviation]
    }
    planner.step(reads: [x] + (residual.map { [$0] } ?? []), writes: [y]) { run in
      let made = try run.parameter(channels)
      try run.backend.batchNorm(
        run[x], BatchNormChannels(mean: made[2], inverseDeviation: made[3], scale: made[0], bias: made[1]),
        residual: residual.map { run[$0] }, relu: relu, into: run[y])
    }
    planner.define(name, .computed(y))
  }

  static func softmax(_ node: Node, _ planner: Planner) throws {
    let input = try planner.computed(node, 0)
    let isOfOneAxis = node.opset >= 13
    let rank = input.shape.count
    let axis = try node.axis(try node.int("axis", default: isOfOneAxis ? -1 : 1), rank: rank, inclusive: !isOfOneAxis)
    // Before version 13, softmax covers all dimensions from the axis on.
    let order = isOfOneAxis ? input.order.filter { $0 != axis } + [axis] : Array(0..<rank)
    let terms = isOfOneAxis ? input.shape[axis] : input.shape[axis...].reduce(1, *)
    let x = try planner.arranged(input, order)
    let y = try planner.new(x.shape, order: order)
    let matrix: Shape = [x.shape.reduce(1, *) / terms, terms]
    planner.step(reads: [x], writes: [y]) { try $0.backend.softmax($0[x, matrix], into: $0[y, matrix]) }
    planner.define(node, y)
  }
}
