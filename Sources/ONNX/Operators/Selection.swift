import Compute
import Support

/// Operators that select some of a tensor's elements.
extension Operator {
  /// Gathers elements of constants only, as programs do to work out shapes.
  static func gather(_ node: Node, _ planner: Planner) throws {
    let data = try planner.constant(node, 0)
    let indices = try planner.constant(node, 1)
    guard case .integers(let numbers) = indices.elements else {
      throw Failure(.damagedFile, "its indices are \(indices.type.name)")
    }
    let axis = try node.axis(try node.int("axis", default: 0), rank: data.shape.count)
    let size = data.shape[axis]
    let picked = try numbers.map { number in
      guard (-size..<size).contains(Int(number)) else {
        throw Failure(.damagedFile, "there is no element \(number) among \(size)")
      }
      return number < 0 ? Int(number) + size : Int(number)
    }
    let shape = data.shape[..<axis] + indices.shape + data.shape[(axis + 1)...]
    let (outer, inner) = (data.shape[..<axis].reduce(1, *), data.shape[(axis + 1)...].reduce(1, *))
    guard let count = Shape([outer, picked.count, inner]).count(within: Constant.largestCount) else {
      throw Failure(.unsupported, "its result is too large")
    }
    try planner.count(folded: count, data.type)
    var places: [Int] = []
    places.reserveCapacity(count)
    for row in 0..<outer {
      for index in picked {
        let first = (row * size + index) * inner
        places += first..<first + inner
      }
    }
    planner.define(node, data.picking(places, shape: Array(shape)))
  }

  /// Plans a strided slice: every k-th element of each dimension between two bounds.
  static func slice(_ node: Node, _ planner: Planner) throws {
    let value = try planner.value(node, 0)
    let rank = value.shape.count
    func numbers(_ input: Int, _ attribute: String) throws -> [Int]? {
      if node.opset < 10 { return try node.ints(attribute) }
      return try planner.has(node, input) ? planner.integers(node, input) : nil
    }
    guard let starts = try numbers(1, "starts"), let ends = try numbers(2, "ends") else {
      throw Failure(.damagedFile, "it does not say where it begins and ends")
    }
    let axes = try (try numbers(3, "axes") ?? Array(starts.indices)).map { try node.axis($0, rank: rank) }
    let steps = try node.opset < 10 ? nil : numbers(4, "steps")
    guard starts.count == axes.count, ends.count == axes.count, Set(axes).count == axes.count,
      steps?.count ?? axes.count == axes.count
    else {
      throw Failure(.damagedFile, "starts \(describe(starts)) and ends \(describe(ends)) do not fit axes \(describe(axes))")
    }
    var (from, extents, strides) = ([Int](repeating: 0, count: rank), value.shape, [Int](repeating: 1, count: rank))
    for (i, axis) in axes.enumerated() {
      let (size, step) = (value.shape[axis], steps?[i] ?? 1)
      guard step != 0 else { throw Failure(.damagedFile, "its step along dimension \(axis) is 0") }
      // Negative numbers count from the end. Places outside the dimension become its border. Backwards, the last border is the
      // place before the first element.
      func place(_ number: Int, _ range: ClosedRange<Int>) -> Int {
        min(max(number < 0 ? max(number, -size - 1) + size : number, range.lowerBound), range.upperBound)
      }
      let borders = step > 0 ? 0...size : -1...max(size - 1, -1)
      let (begin, end) = (place(starts[i], borders), place(ends[i], borders))
      let room = step > 0 ? end - begin : begin - end
      let stride = step.magnitude > UInt(max(size, 1)) ? max(size, 1) : Int(step.magnitude)
      (from[axis], strides[axis]) = (begin, step > 0 ? stride : -stride)
      extents[axis] = room > 0 ? (room + stride - 1) / stride : 0
    }
    switch value {
    case .constant(let x):
      guard let count = Shape(extents).count(within: Constant.largestCount) else {
        throw Failure(.unsupported, "its result is too large")
      }
      try planner.count(folded: count, x.type)
      let steps = StridedCopy.rowMajorStrides(x.shape)
      let sizes = StridedCopy.rowMajorStrides(extents)
      let places = (0..<count).lazy.map { element in
        extents.indices.reduce(0) { place, axis in
          place + (from[axis] + element / sizes[axis] % extents[axis] * strides[axis]) * steps[axis]
        }
      }
      planner.define(node, x.picking(places, shape: extents))
    case .computed(let x):
      guard strides.allSatisfy({ $0 > 0 }) else {
        throw Failure(.unsupported, "it goes backwards through what is computed, which is not supported")
      }
      let y = try planner.new(extents, order: x.order)
      planner.copy(x, into: y, extents: extents, from: from, steps: strides)
      planner.define(node, y)
    }
  }
}
