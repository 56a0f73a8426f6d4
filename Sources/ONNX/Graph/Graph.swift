import ONNXProto
import Support

/// Graph of a model after all checks that do not depend on shapes: every operator is known, every value has one origin, and nodes
/// follow the nodes whose values they read.
///
/// Nodes and initializers that no result depends on are left out, whatever they contain.
struct Graph {
  struct Input {
    let name: String
    /// Sizes of the dimensions; nil for a dimension that is not fixed.
    let shape: [Int?]
  }

  let inputs: [Input]
  var outputs: [String]
  let initializers: [String: Constant]
  let nodes: [Node]
  /// Indices of the nodes that read each value, one entry for each use.
  let consumers: [String: [Int]]
  /// Metadata of the model, by key.
  let metadata: [String: String]
  let opset: Int

  /// Versions of the standard's operators that are known here.
  static let opsets = 7...28

  /// Reads and checks the graph of a model.
  /// - Parameter folder: folder of the files that initializers may be in.
  /// - Throws: ``Failure`` that names the node, tensor or value that is wrong.
  init(_ model: Onnx_ModelProto, in folder: String) throws {
    guard (1...64).contains(model.irVersion), model.hasGraph else {
      throw Failure(.damagedFile, "this is not an ONNX model, or a damaged one")
    }
    let versions = model.opsetImport.filter { $0.domain.isEmpty || $0.domain == "ai.onnx" }.map(\.version)
    guard let version = versions.first, versions.count == 1, Self.opsets.contains(Int(version)) else {
      let found = versions.isEmpty ? "none" : versions.prefix(3).map(String.init).joined(separator: ", ")
      throw Failure(
        .unsupported,
        "the version of ONNX's operators that it asks for is \(found), and \(Self.opsets.lowerBound) to "
          + "\(Self.opsets.upperBound) are supported",
        remedy: "export it again with one of these (opset)")
    }
    opset = Int(version)
    metadata = Dictionary(model.metadataProps.map { ($0.key, $0.value) }) { $1 }
    let graph = model.graph
    guard graph.sparseInitializer.isEmpty else {
      throw Failure(.unsupported, "it has sparse initializers, which are not supported")
    }
    // Checks that need little memory come first.
    nodes = try Self.needed(graph).enumerated().map { index, number in
      try Node(graph.node[number], index: index, number: number, opset: Int(version), in: folder)
    }
    try Self.checkOperators(nodes)
    outputs = graph.output.map(\.name)
    initializers = try Self.initializers(graph, read: Set(nodes.flatMap(\.inputs) + outputs), in: folder)
    let initialized = Set(graph.initializer.map(\.name))
    inputs = try graph.input.filter { !initialized.contains($0.name) }.map(Self.input)
    consumers = try Self.consumers(inputs, initializers, nodes, outputs)
  }

  /// Returns the indices of the nodes that a result depends on, in the file's order.
  private static func needed(_ graph: Onnx_GraphProto) -> [Int] {
    var makers: [String: [Int]] = [:]
    for (number, node) in graph.node.enumerated() {
      for name in node.output where !name.isEmpty { makers[name, default: []].append(number) }
    }
    var (found, open) = (Set<Int>(), graph.output.map(\.name))
    while let name = open.popLast() {
      for number in makers.removeValue(forKey: name) ?? [] where found.insert(number).inserted {
        open += graph.node[number].input
      }
    }
    return found.sorted()
  }

  /// Returns the initializers that something reads. The others may be of any type, and their values may be anywhere.
  private static func initializers(
    _ graph: Onnx_GraphProto, read: Set<String>, in folder: String
  ) throws -> [String: Constant] {
    var (constants, names) = ([String: Constant](), Set<String>())
    for tensor in graph.initializer {
      let what = "initializer '\(shortened(tensor.name))'"
      guard !tensor.name.isEmpty, names.insert(tensor.name).inserted else {
        throw Failure(.damagedFile, "\(what) is there twice or has no name")
      }
      guard read.contains(tensor.name) else { continue }
      do { constants[tensor.name] = try Constant(tensor, in: folder) } catch let failure as Failure {
        throw failure.about(what)
      }
    }
    return constants
  }

  private static func input(_ info: Onnx_ValueInfoProto) throws -> Input {
    let what = "input '\(shortened(info.name))'"
    guard info.hasType, info.type.hasTensorType, info.type.tensorType.hasShape else {
      throw Failure(.unsupported, "\(what) is not a tensor of known rank")
    }
    let tensor = info.type.tensorType
    guard ElementType(rawValue: tensor.elemType)?.isComputedWith == true else {
      throw Failure(
        .unsupported,
        "\(what) is of type \(ElementType.name(tensor.elemType)), and only \(ElementType.computedWith) are supported")
    }
    let shape = try tensor.shape.dim.map { dimension -> Int? in
      // Some programs write 0 or -1 for a dimension that is not fixed.
      guard case .dimValue(let size) = dimension.value, size > 0 else { return nil }
      guard size <= 1 << 20 else { throw Failure(.unsupported, "\(what) has a dimension of \(size)") }
      return Int(size)
    }
    guard shape.count <= 8 else { throw Failure(.unsupported, "\(what) has \(shape.count) dimensions") }
    return Input(name: info.name, shape: shape)
  }

  /// Checks the operators of all nodes.
  /// - Throws: ``Failure`` that names the first node whose operator is not known, and lists other unknown operators.
  private static func checkOperators(_ nodes: [Node]) throws {
    let unknown = nodes.filter { Operator.all[$0.op] == nil }
    if let first = unknown.first {
      let others = Set(unknown.map(\.op)).subtracting([first.op]).sorted().prefix(4).map(shortened).joined(separator: ", ")
      let supported = Operator.all.keys.sorted().joined(separator: ", ")
      throw first.failure(
        "operator \(shortened(first.op)) is not supported\(others.isEmpty ? "" : "; nor are \(others)"); "
          + "supported are \(supported)",
        kind: .unsupported)
    }
    for node in nodes { try Operator.all[node.op]?.check(node) }
  }

  /// Returns the nodes that read each value, after a check that every value exists before it is read.
  private static func consumers(
    _ inputs: [Input], _ initializers: [String: Constant], _ nodes: [Node], _ outputs: [String]
  ) throws -> [String: [Int]] {
    var known = Set(initializers.keys)
    for input in inputs where input.name.isEmpty || !known.insert(input.name).inserted {
      throw Failure(.damagedFile, "input '\(shortened(input.name))' is there twice or has no name")
    }
    let made = Set(nodes.flatMap(\.outputs))
    var consumers: [String: [Int]] = [:]
    for node in nodes {
      for name in node.inputs where !name.isEmpty {
        guard known.contains(name) else {
          throw node.failure(
            "it reads '\(shortened(name))', "
              + "which \(made.contains(name) ? "only a later node makes, or a cycle" : "nothing makes")")
        }
        consumers[name, default: []].append(node.index)
      }
      for name in node.outputs where !name.isEmpty && !known.insert(name).inserted {
        throw node.failure("it makes '\(shortened(name))', which is there already")
      }
    }
    guard !outputs.isEmpty else { throw Failure(.damagedFile, "the graph has no output") }
    if let missing = outputs.first(where: { !known.contains($0) }) {
      throw Failure(.damagedFile, "nothing makes the output '\(shortened(missing))'")
    }
    return consumers
  }
}
