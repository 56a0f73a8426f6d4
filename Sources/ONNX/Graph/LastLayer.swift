import Support

extension Graph {
  /// Operators between the last layer and the output that change at most the scale and the shape of the logits.
  private static let afterLogits: Set = [
    "Softmax", "LogSoftmax", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast",
  ]

  /// Returns the graph whose only result is what the last fully connected layer reads: a Gemm, or a MatMul with or without a
  /// bias, whose weights are constants.
  /// - Throws: ``Failure`` if the graph does not end with such a layer.
  func withoutLastLayer() throws -> Graph {
    let makers = Dictionary(nodes.flatMap { node in node.outputs.map { ($0, node) } }) { $1 }
    var name = outputs[0]
    while let node = makers[name], Self.afterLogits.contains(node.op) { name = node.inputs[0] }
    var layer = makers[name]
    // The bias of a MatMul is added by a node of its own.
    if let sum = layer, sum.op == "Add", sum.inputs.count == 2 {
      layer = sum.inputs.contains { initializers[$0] != nil } ? sum.inputs.lazy.compactMap { makers[$0] }.first : nil
    }
    guard let layer, layer.inputs.count >= 2, initializers[layer.inputs[1]]?.shape.count == 2,
      try layer.op == "MatMul" || (layer.op == "Gemm" && !layer.flag("transA"))
    else {
      throw Failure(
        .unsupported,
        "it does not end with a fully connected layer (Gemm or MatMul with constant weights), so what its features are is not known"
      )
    }
    var graph = self
    graph.outputs = [layer.inputs[0]]
    return graph
  }
}

extension ONNXModel {
  /// Returns the model whose outputs are what its last fully connected layer reads.
  /// - Throws: ``Failure`` if the model does not end with such a layer.
  package func withoutLastLayer() throws -> ONNXModel { try about { ONNXModel(graph: try graph.withoutLastLayer(), path: path) } }
}
