import Compute
import Support

/// Plans a graph for inputs of given shapes. It goes through the graph once, in order, works out every shape, computes everything
/// that follows from constants, and plans the steps for the rest. Nothing runs meanwhile.
final class Planner {
  let graph: Graph
  private(set) var plan = Plan()
  private var values: [String: Value] = [:]
  /// Copies of values in another order of dimensions.
  private var arrangements: [Arrangement: Computed] = [:]
  /// Nodes that are fused into another node.
  private var done: Set<Int> = []
  /// Number of elements of the constants worked out so far: of floats, and of integers.
  private var foldedCounts = (floats: 0, integers: 0)

  /// Maximum number of elements of a computed value, as kernels count them in 32 bits.
  static let largestCount = Int(Int32.max)
  /// Maximum number of elements of all float constants that are worked out: enough for the weights of large networks, and far
  /// below a machine's memory.
  private static let largestFoldedCount = 1 << 28
  /// Maximum number of elements of all integer constants that are worked out: shapes are far smaller.
  private static let largestIntegerCount = 1 << 20

  /// Plans a graph.
  /// - Parameter shapes: shape of each input, and the order of its dimensions in memory; nil for ONNX's order.
  /// - Returns: a plan whose outputs are row-major.
  /// - Throws: ``Failure`` that names the node and what is wrong with it.
  static func plan(_ graph: Graph, inputs shapes: [String: (shape: [Int], order: [Int]?)]) throws -> Plan {
    let planner = Planner(graph)
    for (name, constant) in graph.initializers { planner.values[name] = .constant(constant) }
    for input in graph.inputs {
      guard let (shape, order) = shapes[input.name] else {
        throw Failure(.notFound, "input '\(shortened(input.name))' is not given")
      }
      guard shape.count == input.shape.count, zip(shape, input.shape).allSatisfy({ $1 == nil || $0 == $1 }) else {
        let wanted = input.shape.map { $0.map(String.init) ?? "?" }.joined(separator: ", ")
        throw Failure(.mismatch, "input '\(shortened(input.name))' is \(describe(shape)), and the graph wants [\(wanted)]")
      }
      let value = try about(input) { try planner.new(shape, order: order) }
      planner.values[input.name] = .computed(value)
      planner.plan.inputs[input.name] = value
    }
    for node in graph.nodes where !planner.done.contains(node.index) {
      guard let op = Operator.all[node.op] else { throw node.failure("the operator is not supported", kind: .unsupported) }
      do { try op.plan(node, planner) } catch let failure as Failure {
        throw failure.subject == node.description ? failure : failure.about(node.description)
      }
    }
    planner.plan.outputs = try graph.outputs.map { name in
      guard let value = planner.values[name] else { throw Failure(.unsupported, "output '\(shortened(name))' is not made") }
      guard case .computed(let computed) = value else { return (name, value) }
      return (name, .computed(try planner.arranged(computed)))
    }
    return planner.plan
  }

  private init(_ graph: Graph) { self.graph = graph }

  private static func about<Result>(_ input: Graph.Input, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let failure as Failure { throw failure.about("input '\(shortened(input.name))'") }
  }

  // MARK: Values

  func has(_ node: Node, _ index: Int) -> Bool { index < node.inputs.count && !node.inputs[index].isEmpty }

  func value(_ node: Node, _ index: Int) throws -> Value {
    guard has(node, index), let value = values[node.inputs[index]] else {
      throw Failure(.damagedFile, "input \(index) is missing")
    }
    return value
  }

  /// Returns an input as a tensor on the device; a constant is put there.
  func computed(_ node: Node, _ index: Int) throws -> Computed { try computed(try value(node, index)) }

  func computed(_ value: Value) throws -> Computed {
    switch value {
    case .computed(let computed): return computed
    case .constant(let constant):
      guard case .floats(let elements) = constant.elements, constant.type.isComputedWith else {
        throw Failure(.unsupported, "it computes with \(constant.type.name), and only \(ElementType.computedWith) are supported")
      }
      let computed = try new(constant.shape)
      plan.constants[computed.buffer] = parameter([constant], "as it is") { backend in
        [try backend.upload(HostTensor(elements, shape: [elements.count]))]
      }
      return computed
    }
  }

  /// Returns an input whose values must be known before anything runs.
  func constant(_ node: Node, _ index: Int) throws -> Constant {
    guard case .constant(let constant) = try value(node, index) else {
      throw Failure(
        .unsupported,
        "its input \(index), '\(shortened(node.inputs[index]))', is computed, and only a constant is supported there")
    }
    return constant
  }

  /// Returns an input that must be a constant list of integers.
  func integers(_ node: Node, _ index: Int) throws -> [Int] {
    let constant = try constant(node, index)
    guard case .integers(let values) = constant.elements, constant.shape.count <= 1 else {
      throw Failure(
        .damagedFile, "its input \(index) is \(describe(constant.shape)) of \(constant.type.name), not a list of integers")
    }
    return values.map(Int.init)
  }

  /// Returns an input that must be a constant of floats with a given shape.
  func floats(_ node: Node, _ index: Int, shape: [Int]) throws -> Constant {
    let constant = try constant(node, index)
    guard case .floats = constant.elements, constant.shape == shape else {
      throw Failure(
        .mismatch,
        "its input \(index), '\(shortened(node.inputs[index]))', is \(describe(constant.shape)) of \(constant.type.name), not "
          + "\(describe(shape)) of FLOAT")
    }
    return constant
  }

  /// Returns an input that must be a constant float.
  func float(_ node: Node, _ index: Int) throws -> Float {
    let constant = try constant(node, index)
    guard case .floats(let values) = constant.elements, values.count == 1 else {
      throw Failure(.damagedFile, "its input \(index) is \(describe(constant.shape)) of \(constant.type.name), not one FLOAT")
    }
    return values[0]
  }

  /// Makes a value the node's output.
  func define(_ node: Node, _ value: Computed) { define(node.outputs[0], .computed(value)) }

  func define(_ node: Node, _ constant: Constant) { define(node.outputs[0], .constant(constant)) }

  func define(_ name: String, _ value: Value) { values[name] = value }

  /// Looks up a value by name; nil if nothing has made it yet.
  func value(of name: String) -> Value? { values[name] }

  /// Counts the elements of a constant that is worked out.
  /// - Throws: ``Failure`` if the constants of the graph would take too much memory.
  func count(_ constant: Constant) throws { try count(folded: constant.count, constant.type) }

  /// Counts the elements of a constant before it is made.
  func count(folded count: Int, _ type: ElementType) throws {
    let most = type.isFloatingPoint ? Self.largestFoldedCount : Self.largestIntegerCount
    let before = type.isFloatingPoint ? foldedCounts.floats : foldedCounts.integers
    guard count <= most - before else {
      throw Failure(
        .unsupported, "constants of \(before + count) elements of \(type.name) are worked out, and \(most) are supported")
    }
    if type.isFloatingPoint { foldedCounts.floats += count } else { foldedCounts.integers += count }
  }

  /// Whether anything reads the node's output with this index.
  func isUsed(_ node: Node, _ output: Int) -> Bool {
    guard output < node.outputs.count, !node.outputs[output].isEmpty else { return false }
    let name = node.outputs[output]
    return graph.consumers[name] != nil || graph.outputs.contains(name)
  }

  // MARK: Steps

  /// Makes a buffer for a value, row-major unless `order` says otherwise.
  func new(_ shape: [Int], order: [Int]? = nil) throws -> Computed {
    guard shape.count <= StridedCopy.rank else {
      throw Failure(.unsupported, "a value of \(shape.count) dimensions is computed: \(StridedCopy.rank) are supported")
    }
    guard !shape.contains(0) else { throw Failure(.unsupported, "a value \(describe(shape)) is computed, which has no elements") }
    guard shape.allSatisfy({ $0 > 0 }), let count = Shape(shape).count(within: Self.largestCount) else {
      throw Failure(.unsupported, "a value \(describe(shape)) is computed, which has more than \(Self.largestCount) elements")
    }
    plan.counts.append(count)
    return Computed(buffer: plan.counts.count - 1, shape: shape, order: order ?? Array(shape.indices))
  }

  /// Records a convolution that the plan runs.
  func note(_ geometry: Conv2D) { plan.convolutions.append(geometry) }

  func step(reads: [Computed], writes: [Computed], _ run: @escaping (Execution) throws -> Void) {
    plan.steps.append(Plan.Step(reads: reads.map(\.buffer), writes: writes.map(\.buffer), run: run))
  }

  /// Adds a parameter that `make` makes of constants, and returns its index.
  func parameter(_ constants: [Constant], _ form: String, _ make: @escaping (any Backend) throws -> [Tensor]) -> Int {
    plan.parameters.append(Parameter(key: Parameter.Key(constants: constants, form: form), make: make))
    return plan.parameters.count - 1
  }

  /// Returns the value with its dimensions in memory in this order. It is copied, once, unless it is stored in this order
  /// already.
  func arranged(_ x: Computed, _ order: [Int]) throws -> Computed {
    if x.lies(in: order) { return Computed(buffer: x.buffer, shape: x.shape, order: order) }
    let key = Arrangement(value: x, order: order)
    if let known = arrangements[key] { return known }
    let y = try new(x.shape, order: order)
    copy(x, into: y)
    arrangements[key] = y
    return y
  }

  private struct Arrangement: Hashable {
    let value: Computed
    let order: [Int]
  }

  /// Returns the value in row-major order.
  func arranged(_ x: Computed) throws -> Computed { try arranged(x, Array(x.shape.indices)) }

  /// Copies elements of x to the elements of y from index `start` on in each dimension. By default it copies all of x, otherwise
  /// in each dimension `extents` elements from index `from` on with the step `steps`. The element of a dimension of one element
  /// may be repeated.
  func copy(
    _ x: Computed, into y: Computed, extents: [Int]? = nil, from: [Int]? = nil, steps: [Int]? = nil, at start: [Int]? = nil
  ) {
    let extents = extents ?? x.shape
    let xStrides = zip(x.strides, zip(x.shape, extents)).map { $1.0 == 1 && $1.1 != 1 ? 0 : $0 }
    func offset(_ index: [Int]?, _ strides: [Int]) -> Int { zip(index ?? [], strides).reduce(0) { $0 + $1.0 * $1.1 } }
    // The copy follows the order of y in memory, so that y is written from beginning to end.
    let copy = StridedCopy(
      extents: y.order.map { extents[$0] },
      from: .init(start: offset(from, xStrides), strides: y.order.map { xStrides[$0] * (steps?[$0] ?? 1) }),
      to: .init(start: offset(start, y.strides), strides: y.order.map { y.strides[$0] }))
    step(reads: [x], writes: [y]) { try $0.backend.rearrange($0[x], copy, into: $0[y]) }
  }

  /// Repeats a value along dimensions of one element, and along new dimensions in front, until it has this shape.
  /// - Precondition: the value can be broadcast to this shape.
  func broadcast(_ x: Computed, to shape: [Int], order: [Int]) throws -> Computed {
    var x = x
    while x.shape.count < shape.count { x = x.inserting(0) }
    if x.shape == shape { return try arranged(x, order) }
    let y = try new(shape, order: order)
    copy(x, into: y, extents: shape)
    return y
  }

  // MARK: Fusion

  /// Returns the only node that reads a value; nil if there is no such node or the value is a result of the graph.
  func onlyConsumer(of name: String) -> Node? {
    guard let consumers = graph.consumers[name], consumers.count == 1, !graph.outputs.contains(name),
      !done.contains(consumers[0])
    else { return nil }
    return graph.nodes[consumers[0]]
  }

  /// Marks a node as fused into another one.
  func take(_ node: Node) { done.insert(node.index) }

  /// Takes over the batch normalization that alone reads a value of `channels` channels; the caller does it from now on.
  func takeNorm(after name: inout String, channels: Int) -> Norm? {
    guard let next = onlyConsumer(of: name), next.op == "BatchNormalization", next.inputs[0] == name,
      // A wrong one fails when it is planned itself.
      let norm = try? Norm(next, self, channels: channels)
    else { return nil }
    take(next)
    name = next.outputs[0]
    return norm
  }

  /// Takes over the sum of a value with another one that has the same shape and is computed already; the caller does it from now
  /// on.
  func takeSum(after name: inout String, shape: [Int]) -> Computed? {
    guard let next = onlyConsumer(of: name), next.op == "Add" || next.op == "Sum", next.inputs.count == 2,
      let other = next.inputs.first(where: { $0 != name }), case .computed(let residual)? = values[other], residual.shape == shape
    else { return nil }
    take(next)
    name = next.outputs[0]
    return residual
  }

  /// Takes over a ReLU that follows, which the caller does from now on. Returns whether there is one.
  func takeRelu(after name: inout String) -> Bool {
    guard let next = onlyConsumer(of: name), next.op == "Relu" else { return false }
    take(next)
    name = next.outputs[0]
    return true
  }
}
