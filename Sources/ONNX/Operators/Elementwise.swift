import Compute
import Support

extension Operator {
  static func relu(_ node: Node, _ planner: Planner) throws {
    let x = try planner.computed(node, 0)
    let y = try planner.new(x.shape, order: x.order)
    planner.step(reads: [x], writes: [y]) { try $0.backend.relu($0[x], into: $0[y]) }
    planner.define(node, y)
  }

  static func clip(_ node: Node, _ planner: Planner) throws {
    let x = try planner.computed(node, 0)
    let isOld = node.opset < 11
    func bound(_ index: Int, _ key: String, _ none: Float) throws -> Float {
      let value = try isOld ? node.float(key, default: none) : planner.has(node, index) ? planner.float(node, index) : none
      if value.isNaN { throw Failure(.damagedFile, "a bound is not a number") }
      return value
    }
    let (lower, upper) = (try bound(1, "min", -.infinity), try bound(2, "max", .infinity))
    let y = try planner.new(x.shape, order: x.order)
    planner.step(reads: [x], writes: [y]) {
      try $0.backend.clip($0[x], lower: Double(lower), upper: Double(upper), into: $0[y])
    }
    planner.define(node, y)
  }

  /// Plans the sum of any number of values, fused with a ReLU that follows.
  static func sum(_ node: Node, _ planner: Planner) throws {
    try sum(node, of: try node.inputs.indices.map { try planner.computed(node, $0) }, planner)
  }

  static func sum(_ node: Node, of terms: [Computed], _ planner: Planner) throws {
    guard terms.count > 1 else { return planner.define(node, terms[0]) }
    let shape = try terms.dropFirst().reduce(terms[0].shape) { try broadcast($0, $1.shape) }
    let order = terms.first { $0.shape == shape }?.order ?? Array(shape.indices)
    var name = node.outputs[0]
    let relu = planner.takeRelu(after: &name)
    var result = try planner.broadcast(terms[0], to: shape, order: order)
    for (index, term) in terms.enumerated().dropFirst() {
      let (a, b) = (result, try planner.broadcast(term, to: shape, order: order))
      let y = try planner.new(shape, order: order)
      let isLast = index == terms.count - 1
      planner.step(reads: [a, b], writes: [y]) { try $0.backend.add($0[a], $0[b], relu: relu && isLast, into: $0[y]) }
      result = y
    }
    planner.define(name, .computed(result))
  }

  /// Returns the shape of an elementwise operation on two values, with NumPy's broadcasting.
  static func broadcast(_ a: [Int], _ b: [Int]) throws -> [Int] {
    let rank = max(a.count, b.count)
    func size(_ shape: [Int], _ i: Int) -> Int { i < rank - shape.count ? 1 : shape[i - (rank - shape.count)] }
    return try (0..<rank).map { i in
      let (x, y) = (size(a, i), size(b, i))
      guard x == y || x == 1 || y == 1 else { throw Failure(.mismatch, "\(describe(a)) and \(describe(b)) do not go together") }
      return x == 1 ? y : x
    }
  }
}
