import Compute
import Support

/// Operators whose results are known before anything runs.
extension Operator {
  static func constant(_ node: Node, _ planner: Planner) throws {
    guard node.attributes.count == 1, let (key, value) = node.attributes.first else {
      throw Failure(.damagedFile, "it has \(node.attributes.count) values, not one")
    }
    switch (key, value) {
    case ("value", .tensor(let constant)): planner.define(node, constant)
    case ("value_float", .float(let value)): planner.define(node, Constant([value], shape: []))
    case ("value_floats", .floats(let values)): planner.define(node, Constant(values, shape: [values.count]))
    case ("value_int", .int(let value)): planner.define(node, Constant(.int64, [], .integers([Int64(value)])))
    case ("value_ints", .ints(let values)):
      planner.define(node, Constant(.int64, [values.count], .integers(values.map(Int64.init))))
    default: throw Failure(.damagedFile, "attribute '\(shortened(key))' does not hold what its name says")
    }
  }

  private static let largestFromNothing = 1 << 24

  static func constantOfShape(_ node: Node, _ planner: Planner) throws {
    let (shape, count) = try Constant.shape(try planner.integers(node, 0).map(Int64.init))
    var value = Constant([0], shape: [1])
    if let attribute = node.attributes["value"] {
      guard case .tensor(let constant) = attribute, constant.count == 1 else {
        throw node.mistyped("value", "a tensor of one element")
      }
      value = constant
    }
    // A few bytes of a file can ask for any number of elements.
    guard count <= largestFromNothing else {
      throw Failure(.unsupported, "a constant of \(count) elements is made of one, and \(largestFromNothing) are supported")
    }
    try planner.count(folded: count, value.type)
    planner.define(node, value.picking(repeatElement(0, count: count), shape: shape))
  }

  static func shape(_ node: Node, _ planner: Planner) throws {
    let shape = try planner.value(node, 0).shape
    func bound(_ key: String, _ value: Int) throws -> Int {
      let index = try node.int(key, default: value)
      return min(max(index < 0 ? max(index, -shape.count) + shape.count : index, 0), shape.count)
    }
    let (start, end) = (try bound("start", 0), try bound("end", shape.count))
    let sizes = shape[start..<max(start, end)].map(Int64.init)
    planner.define(node, Constant(.int64, [sizes.count], .integers(sizes)))
  }

  static func cast(_ node: Node, _ planner: Planner) throws {
    let number = Int32(truncatingIfNeeded: try node.int("to", default: 0))
    guard let type = ElementType(rawValue: number) else {
      throw Failure(.unsupported, "a cast to \(ElementType.name(number)) is not supported")
    }
    switch try planner.value(node, 0) {
    case .constant(let constant):
      try planner.count(constant)
      planner.define(node, try constant.cast(to: type))
    case .computed(let x):
      guard type.isComputedWith else {
        throw Failure(
          .unsupported, "it casts what is computed to \(type.name), and only \(ElementType.computedWith) are supported")
      }
      planner.define(node, x)
    }
  }

  /// Passes the value on, as inference drops nothing.
  static func dropout(_ node: Node, _ planner: Planner) throws {
    if planner.has(node, 2), case .integers(let flags) = try planner.constant(node, 2).elements,
      flags.contains(where: { $0 != 0 })
    {
      throw Failure(.unsupported, "training_mode is on, and only inference is supported")
    }
    let value = try planner.value(node, 0)
    planner.define(node.outputs[0], value)
    if planner.isUsed(node, 1) {
      guard let count = Shape(value.shape).count(within: Constant.largestCount) else {
        throw Failure(.unsupported, "its mask is too large")
      }
      try planner.count(folded: count, .bool)
      planner.define(node.outputs[1], .constant(Constant(.bool, value.shape, .integers([Int64](repeating: 1, count: count)))))
    }
  }
}
