import Compute
import Support

/// Add, Sub, Mul or Div of a computed value and a constant, which is a number or an array of numbers.
struct Change {
  let op: String
  let constant: Constant
  /// Whether the constant is the left operand.
  let isReversed: Bool

  /// Whether the change only adds or subtracts the constant.
  var isShift: Bool { op == "Add" || (op == "Sub" && !isReversed) }

  /// Text that distinguishes changes by the same constants.
  var form: String { isReversed ? "reversed \(op)" : op }

  /// Applies the change to factor·x + summand.
  func apply(_ constant: Float, _ line: inout (factor: Double, summand: Double)) {
    let c = Double(constant)
    switch op {
    case "Add": line.summand += c
    case "Sub": line = isReversed ? (-line.factor, c - line.summand) : (line.factor, line.summand - c)
    case "Mul": line = (line.factor * c, line.summand * c)
    default: line = (line.factor / c, line.summand / c)
    }
  }
}

extension [Change] {
  /// Combines all changes, one after another, into a factor and a summand for each place along some dimensions of the shape
  /// `shape`.
  /// - Parameter summands: numbers that were added before; nil for none.
  func folded(
    along dimensions: [Int], of shape: [Int], summands: [Float]? = nil
  ) -> (factors: [Float], summands: [Float]) {
    let count = dimensions.reduce(1) { $0 * shape[$1] }
    var lines = (0..<count).map { (factor: 1.0, summand: Double(summands?[$0] ?? 0)) }
    for change in self {
      let constants = change.constant.floats(along: dimensions, of: shape)
      for place in lines.indices { change.apply(constants[place], &lines[place]) }
    }
    return (lines.map { Float($0.factor) }, lines.map { Float($0.summand) })
  }
}

extension Operator {
  /// Plans Add, Sub, Mul and Div. The result for two constants is computed at once. The operation on a computed value and a
  /// constant is fused with the arithmetic, the sum and the ReLU that follow.
  static func arithmetic(_ node: Node, _ planner: Planner) throws {
    switch (try planner.value(node, 0), try planner.value(node, 1)) {
    case (.constant(let a), .constant(let b)): planner.define(node, try result(node.op, a, b, planner))
    case (.computed(let x), .constant(let constant)):
      try change(x, Change(op: node.op, constant: constant, isReversed: false), node, planner)
    case (.constant(let constant), .computed(let x)):
      guard node.op != "Div" else {
        throw Failure(.unsupported, "it divides by what is computed, and only division by a constant is supported")
      }
      try change(x, Change(op: node.op, constant: constant, isReversed: true), node, planner)
    case (.computed(let a), .computed(let b)):
      switch node.op {
      case "Add": try sum(node, of: [a, b], planner)
      case "Sub": try sum(node, of: [a, try planner.scaled(b, -1)], planner)
      default: throw Failure(.unsupported, "both of its inputs are computed, and only one by a constant is supported")
      }
    }
  }

  /// Plans a change of x by a constant, fused with everything that can be fused with it.
  private static func change(_ x: Computed, _ change: Change, _ node: Node, _ planner: Planner) throws {
    guard change.constant.type.isComputedWith else {
      throw Failure(
        .unsupported, "it computes with \(change.constant.type.name), and only \(ElementType.computedWith) are supported")
    }
    let shape = try broadcast(x.shape, change.constant.shape)
    let isSame = shape == x.shape
    let input = isSame ? x : try planner.broadcast(x, to: shape, order: Array(shape.indices))
    var name = node.outputs[0]
    let changes = [change] + planner.takeChanges(after: &name, shape: shape)
    // The dimensions along which constants vary are innermost. If there is only one number, any dimension would do.
    let differing = Set(changes.flatMap { $0.constant.differing(in: shape) })
    let inner = differing.isEmpty ? Array(input.order.suffix(1)) : input.order.filter(differing.contains)
    let arranged = try planner.arranged(input, input.order.filter { !inner.contains($0) } + inner)
    let channels = inner.reduce(1) { $0 * shape[$1] }
    try planner.count(folded: 2 * channels, .float)

    let y = try planner.new(shape, order: arranged.order)
    let residual = try planner.takeSum(after: &name, shape: shape).map { try planner.arranged($0, y.order) }
    let relu = planner.takeRelu(after: &name)
    let form = "\(changes.map(\.form)) along \(inner) of \(shape)"
    let made = planner.parameter(changes.map(\.constant), form) { backend in
      let (factors, summands) = changes.folded(along: inner, of: shape)
      let zeros = [Float](repeating: 0, count: channels)
      return try [zeros, zeros.map { $0 + 1 }, factors, summands].map { try backend.upload(HostTensor($0, shape: [channels])) }
    }
    let matrix: Shape = [shape.reduce(1, *) / channels, channels]
    planner.step(reads: [arranged] + (residual.map { [$0] } ?? []), writes: [y]) { run in
      let parts = try run.parameter(made)
      try run.backend.batchNorm(
        run[arranged, matrix],
        BatchNormChannels(mean: parts[0], inverseDeviation: parts[1], scale: parts[2], bias: parts[3]),
        residual: residual.map { run[$0, matrix] }, relu: relu, into: run[y, matrix])
    }
    planner.define(name, .computed(y))
  }

  /// Computes the result for two constants with NumPy's broadcasting. An integer result outside its type and an integer division
  /// by zero are failures.
  private static func result(_ op: String, _ a: Constant, _ b: Constant, _ planner: Planner) throws -> Constant {
    guard a.type == b.type, a.type != .bool else {
      throw Failure(.damagedFile, "\(a.type.name) and \(b.type.name) do not go together")
    }
    let shape = try broadcast(a.shape, b.shape)
    guard let count = Shape(shape).count(within: Constant.largestCount) else {
      throw Failure(.unsupported, "its result is too large")
    }
    try planner.count(folded: count, a.type)
    let (left, right) = (a.repeated(to: shape), b.repeated(to: shape))
    if case .integers(let x) = left.elements, case .integers(let y) = right.elements {
      let range = a.type.range
      return Constant(a.type, shape, .integers(try zip(x, y).map { try integer(op, $0, $1, in: range) }))
    }
    let floats = zip(left.floats, right.floats).map { x, y in
      switch op {
      case "Add": x + y
      case "Sub": x - y
      case "Mul": x * y
      default: x / y
      }
    }
    return Constant(a.type, shape, .floats(floats.map(a.type.rounded)))
  }

  private static func integer(_ op: String, _ x: Int64, _ y: Int64, in range: ClosedRange<Int64>) throws -> Int64 {
    let (value, overflows) =
      switch op {
      case "Add": x.addingReportingOverflow(y)
      case "Sub": x.subtractingReportingOverflow(y)
      case "Mul": x.multipliedReportingOverflow(by: y)
      default: x.dividedReportingOverflow(by: y)
      }
    guard !overflows, range.contains(value) else {
      throw Failure(.damagedFile, "\(op) of \(x) and \(y) has no result in its type")
    }
    return value
  }
}

extension Constant {
  /// Returns the dimensions of the shape `target`, to which the constant can be broadcast, along which its elements vary.
  func differing(in target: [Int]) -> [Int] {
    shape.indices.filter { shape[$0] != 1 }.map { $0 + target.count - shape.count }
  }
}

extension Planner {
  /// Takes over the arithmetic with constants that follows and keeps the shape; the caller does it from now on.
  /// - Parameter dimensions: dimensions along which constants may vary; nil for any.
  func takeChanges(after name: inout String, shape: [Int], along dimensions: Set<Int>? = nil) -> [Change] {
    var changes: [Change] = []
    while let (change, next) = nextChange(after: name), let same = try? Operator.broadcast(shape, change.constant.shape),
      same == shape, dimensions?.isSuperset(of: change.constant.differing(in: shape)) ?? true
    {
      take(next)
      name = next.outputs[0]
      changes.append(change)
    }
    return changes
  }

  private func nextChange(after name: String) -> (Change, Node)? {
    guard let next = onlyConsumer(of: name), ["Add", "Sub", "Mul", "Div"].contains(next.op) else { return nil }
    let isReversed = next.inputs[1] == name
    guard !(isReversed && next.op == "Div"), case .constant(let constant)? = value(of: next.inputs[isReversed ? 0 : 1]),
      constant.type.isComputedWith
    else { return nil }
    return (Change(op: next.op, constant: constant, isReversed: isReversed), next)
  }
}
