import Support

/// Operator of the standard: the inputs, outputs and attributes that its nodes may have, and the function that plans them.
struct Operator: Sendable {
  let inputs, outputs: ClosedRange<Int>
  let attributes: Set<String>
  /// Function that plans a node.
  /// - Throws: ``Failure`` that says what is wrong; the caller names the node.
  let plan: @Sendable (Node, Planner) throws -> Void

  init(
    _ inputs: ClosedRange<Int>, outputs: ClosedRange<Int> = 1...1, _ attributes: Set<String>,
    _ plan: @escaping @Sendable (Node, Planner) throws -> Void
  ) {
    (self.inputs, self.outputs, self.attributes, self.plan) = (inputs, outputs, attributes, plan)
  }

  /// Checks everything about a node that does not depend on shapes.
  func check(_ node: Node) throws {
    guard inputs.contains(node.inputs.count) else { throw node.failure("it has \(node.inputs.count) inputs") }
    guard outputs.contains(node.outputs.count), node.outputs.first?.isEmpty == false else {
      throw node.failure("it has \(node.outputs.count) outputs")
    }
    if let unknown = node.attributes.keys.sorted().first(where: { !attributes.contains($0) }) {
      throw node.failure("attribute '\(shortened(unknown))' is not supported", kind: .unsupported)
    }
  }

  /// Operators by name, in any version from ``Graph/opsets``.
  static let all: [String: Operator] = [
    "Conv": Operator(2...3, ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"], convolution),
    "BatchNormalization": Operator(
      5...5, outputs: 1...5, ["epsilon", "momentum", "spatial", "training_mode"], batchNormalization),
    "Relu": Operator(1...1, [], relu),
    "Add": Operator(2...2, [], arithmetic),
    "Sub": Operator(2...2, [], arithmetic),
    "Mul": Operator(2...2, [], arithmetic),
    "Div": Operator(2...2, [], arithmetic),
    "Sum": Operator(1...(1 << 16), [], sum),
    "Clip": Operator(1...3, ["max", "min"], clip),
    "Softmax": Operator(1...1, ["axis"], softmax),
    "MaxPool": Operator(
      1...1, outputs: 1...2, ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"], pool),
    "AveragePool": Operator(
      1...1, ["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"], pool),
    "GlobalAveragePool": Operator(1...1, [], globalAveragePool),
    "ReduceMean": Operator(1...2, ["axes", "keepdims", "noop_with_empty_axes"], reduceMean),
    "Gemm": Operator(2...3, ["alpha", "beta", "transA", "transB"], gemm),
    "MatMul": Operator(2...2, [], matMul),
    "Flatten": Operator(1...1, ["axis"], flatten),
    "Reshape": Operator(2...2, ["allowzero"], reshape),
    "Squeeze": Operator(1...2, ["axes"], squeeze),
    "Unsqueeze": Operator(1...2, ["axes"], unsqueeze),
    "Transpose": Operator(1...1, ["perm"], transpose),
    "Concat": Operator(1...(1 << 16), ["axis"], concat),
    "Gather": Operator(2...2, ["axis"], gather),
    "Slice": Operator(1...5, ["axes", "ends", "starts"], slice),
    "Pad": Operator(1...4, ["mode", "pads", "value"], pad),
    "Identity": Operator(1...1, [], identity),
    "Dropout": Operator(1...3, outputs: 1...2, ["ratio", "seed"], dropout),
    "Cast": Operator(1...1, ["round_mode", "saturate", "to"], cast),
    "Constant": Operator(
      0...0, ["value", "value_float", "value_floats", "value_int", "value_ints"], constant),
    "ConstantOfShape": Operator(1...1, ["value"], constantOfShape),
    "Shape": Operator(1...1, ["end", "start"], shape),
  ]
}
