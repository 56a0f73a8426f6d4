import Compute
import Support

/// Operators that move values or only view them in another shape.
extension Operator {
  static func identity(_ node: Node, _ planner: Planner) throws { planner.define(node.outputs[0], try planner.value(node, 0)) }

  static func transpose(_ node: Node, _ planner: Planner) throws {
    let value = try planner.value(node, 0)
    let dimensions = Array(value.shape.indices)
    let permutation = try node.ints("perm") ?? dimensions.reversed()
    guard permutation.sorted() == dimensions else {
      throw Failure(.damagedFile, "perm \(describe(permutation)) is no order of \(dimensions.count) dimensions")
    }
    switch value {
    case .computed(let x): planner.define(node, x.transposed(permutation))
    case .constant(let x):
      try planner.count(x)
      planner.define(node, x.transposed(permutation))
    }
  }

  static func flatten(_ node: Node, _ planner: Planner) throws {
    let value = try planner.value(node, 0)
    let axis = try node.axis(try node.int("axis", default: 1), rank: value.shape.count, inclusive: true)
    let sizes = [value.shape[..<axis], value.shape[axis...]].map { $0.reduce(1, *) }
    try reshape(value, sizes, node, planner)
  }

  static func reshape(_ node: Node, _ planner: Planner) throws {
    let value = try planner.value(node, 0)
    var shape = try planner.integers(node, 1)
    let keepsZeros = try node.flag("allowzero")
    for (i, size) in shape.enumerated() where size == 0 && !keepsZeros {
      guard i < value.shape.count else { throw Failure(.damagedFile, "it keeps dimension \(i) of \(describe(value.shape))") }
      shape[i] = value.shape[i]
    }
    let count = value.shape.reduce(1, *)
    let rest = shape.indices.filter { shape[$0] == -1 }
    if let place = rest.first, rest.count == 1 {
      shape[place] = 1
      if let known = Shape(shape.map { max($0, 0) }).count(within: Constant.largestCount), known > 0, count % known == 0 {
        shape[place] = count / known
      }
    }
    guard shape.allSatisfy({ $0 >= 0 }), Shape(shape).count(within: Constant.largestCount) == count else {
      throw Failure(.mismatch, "\(describe(value.shape)) cannot become \(describe(try planner.integers(node, 1)))")
    }
    try reshape(value, shape, node, planner)
  }

  private static func reshape(_ value: Value, _ shape: [Int], _ node: Node, _ planner: Planner) throws {
    switch value {
    case .constant(let x): planner.define(node, x.reshaped(shape))
    case .computed(let x):
      guard shape.count <= StridedCopy.rank else {
        throw Failure(.unsupported, "its result has \(shape.count) dimensions, too many")
      }
      planner.define(node, try planner.arranged(x).reshaped(shape))
    }
  }

  static func squeeze(_ node: Node, _ planner: Planner) throws {
    let value = try planner.value(node, 0)
    let given = try planner.has(node, 1) ? planner.integers(node, 1) : node.ints("axes")
    let axes = try given.map { try $0.map { try node.axis($0, rank: value.shape.count) } }
    let removed = Set(axes ?? value.shape.indices.filter { value.shape[$0] == 1 })
    guard removed.allSatisfy({ value.shape[$0] == 1 }) else {
      throw Failure(.mismatch, "it takes dimensions of more than one element from \(describe(value.shape))")
    }
    switch value {
    case .computed(let x): planner.define(node, removed.sorted().reversed().reduce(x) { $0.removing($1) })
    case .constant(let x):
      planner.define(node, x.reshaped(x.shape.indices.filter { !removed.contains($0) }.map { x.shape[$0] }))
    }
  }

  static func unsqueeze(_ node: Node, _ planner: Planner) throws {
    let value = try planner.value(node, 0)
    let given = try planner.has(node, 1) ? planner.integers(node, 1) : node.ints("axes") ?? []
    guard value.shape.count + given.count <= 16 else { throw Failure(.unsupported, "its result has too many dimensions") }
    let axes = try given.map { try node.axis($0, rank: value.shape.count + given.count) }.sorted()
    guard Set(axes).count == axes.count else { throw Failure(.damagedFile, "axes \(describe(given)) name one twice") }
    switch value {
    case .computed(let x):
      guard x.shape.count + axes.count <= StridedCopy.rank else {
        throw Failure(.unsupported, "its result has too many dimensions")
      }
      planner.define(node, axes.reduce(x) { $0.inserting($1) })
    case .constant(let x):
      var shape = x.shape
      for axis in axes { shape.insert(1, at: axis) }
      planner.define(node, x.reshaped(shape))
    }
  }

  static func concat(_ node: Node, _ planner: Planner) throws {
    let values = try node.inputs.indices.map { try planner.value(node, $0) }
    guard node.attributes["axis"] != nil else { throw Failure(.damagedFile, "attribute 'axis' is missing") }
    let axis = try node.int("axis", default: 0)
    var shape = values[0].shape
    let place = try node.axis(axis, rank: shape.count)
    for value in values.dropFirst() {
      let (a, b) = (shape, value.shape)
      guard a.count == b.count, a.indices.allSatisfy({ $0 == place || a[$0] == b[$0] }) else {
        throw Failure(.mismatch, "\(describe(a)) and \(describe(b)) cannot be joined along dimension \(place)")
      }
      shape[place] += b[place]
    }
    let constants = values.compactMap { if case .constant(let constant) = $0 { constant } else { nil } }
    if constants.count == values.count { return planner.define(node, try join(constants, place, shape, planner)) }
    // The result takes the order of the first computed value, as most of the values are stored in it already.
    let order = values.lazy.compactMap { if case .computed(let x) = $0 { x.order } else { nil } }.first
    let y = try planner.new(shape, order: order)
    var start = [Int](repeating: 0, count: shape.count)
    for value in values where value.shape[place] > 0 {
      planner.copy(try planner.computed(value), into: y, at: start)
      start[place] += value.shape[place]
    }
    planner.define(node, y)
  }

  private static func join(_ constants: [Constant], _ axis: Int, _ shape: [Int], _ planner: Planner) throws -> Constant {
    guard Set(constants.map(\.type)).count == 1 else { throw Failure(.damagedFile, "it joins values of different types") }
    let (outer, inner) = (shape[..<axis].reduce(1, *), shape[(axis + 1)...].reduce(1, *))
    guard let count = Shape(shape).count(within: Constant.largestCount) else {
      throw Failure(.unsupported, "its result is too large")
    }
    try planner.count(folded: count, constants[0].type)
    func joined<Element>(_ parts: [[Element]]) -> [Element] {
      (0..<outer).flatMap { row in
        zip(constants, parts).flatMap { constant, part in
          let length = constant.shape[axis] * inner
          return part[row * length..<(row + 1) * length]
        }
      }
    }
    let floats = constants.compactMap { if case .floats(let values) = $0.elements { values } else { nil } }
    let integers = constants.compactMap { if case .integers(let values) = $0.elements { values } else { nil } }
    return Constant(constants[0].type, shape, floats.isEmpty ? .integers(joined(integers)) : .floats(joined(floats)))
  }

  static func pad(_ node: Node, _ planner: Planner) throws {
    let x = try planner.computed(node, 0)
    let mode = try node.string("mode", default: "constant")
    guard mode == "constant" else { throw Failure(.unsupported, "mode '\(shortened(mode))' is not supported, only 'constant'") }
    let rank = x.shape.count
    let given = try node.opset < 11 ? node.ints("pads") ?? [] : planner.integers(node, 1)
    let value = try node.opset < 11 ? node.float("value", default: 0) : planner.has(node, 2) ? planner.float(node, 2) : 0
    let axes = try planner.has(node, 3) ? planner.integers(node, 3).map { try node.axis($0, rank: rank) } : Array(0..<rank)
    let bound = 1 << 31
    guard given.count == 2 * axes.count, Set(axes).count == axes.count, given.allSatisfy({ -bound < $0 && $0 < bound }) else {
      throw Failure(.damagedFile, "pads \(describe(given)) do not fit \(axes.count) dimensions")
    }
    // Negative pads crop.
    var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
    for (i, axis) in axes.enumerated() { (before[axis], after[axis]) = (given[i], given[i + axes.count]) }
    if (before + after).allSatisfy({ $0 == 0 }) { return planner.define(node, x) }
    planner.define(node, try padded(x, before, after, value, planner))
  }

  /// Pads a value with `before` and `after` elements of `value` in each dimension, or crops it where these are negative.
  static func padded(_ x: Computed, _ before: [Int], _ after: [Int], _ value: Float, _ planner: Planner) throws -> Computed {
    let shape = x.shape.indices.map { x.shape[$0] + before[$0] + after[$0] }
    guard shape.allSatisfy({ $0 > 0 }) else { throw Failure(.mismatch, "of \(describe(x.shape)) nothing is left") }
    let y = try planner.new(shape, order: x.order)
    planner.step(reads: [], writes: [y]) { try $0.backend.fill($0[y], with: Double(value)) }
    let kept = x.shape.indices.map { x.shape[$0] + min(before[$0], 0) + min(after[$0], 0) }
    if kept.allSatisfy({ $0 > 0 }) {
      planner.copy(x, into: y, extents: kept, from: before.map { max(-$0, 0) }, at: before.map { max($0, 0) })
    }
    return y
  }
}
