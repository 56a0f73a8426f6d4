import Compute

extension Catalog {
  static var elementwise: [Case] {
    let shapes: [Shape] = [[1], [3], [17], [33, 3], [2, 7, 7, 17], [1, 14, 14, 64], [4099]]
    let shortcuts: [(Shape, Int, Int)] = [
      ([1, 1, 1, 1], 1, 1), ([2, 3, 3, 1], 2, 16), ([2, 32, 32, 16], 2, 32), ([1, 17, 14, 10], 2, 17), ([3, 7, 7, 16], 1, 33),
      ([2, 33, 33, 3], 3, 10), ([5, 14, 17, 17], 1, 17), ([1, 28, 28, 32], 2, 64),
    ]
    return shapes.flatMap { sums($0) + rectifiers($0) } + [[1], [33, 3], [2, 7, 7, 16]].flatMap { clips($0) } + rearrangements
      + shortcuts.flatMap { input, stride, k in padShortcuts(input, stride: stride, k: k) }
  }

  /// Returns cases of add, plain and with ReLU, into a third tensor and in place of either operand.
  static func sums(_ shape: Shape, size: Case.Size = .small) -> [Case] {
    [false, true].flatMap { relu in
      ["y", "a", "b"].map { destination in
        let operands: [Operand] = [
          destination == "a" ? .updated("a", shape) : .input("a", shape),
          destination == "b" ? .updated("b", shape) : .input("b", shape),
        ]
        return Case(
          "add", "\(shape)\(relu ? ", relu" : "") into \(destination)", size: size, flops: (relu ? 2 : 1) * shape.count,
          bound: .rounding(1, "one sum"), operands + (destination == "y" ? [.output("y", shape)] : [])
        ) { try $0.add($1["a"], $1["b"], relu: relu, into: $1[destination]) }
      }
    }
  }

  /// Returns cases of relu and its gradient, each also in place, and of relu with NaN.
  static func rectifiers(_ shape: Shape, size: Case.Size = .small) -> [Case] {
    let forward = [Values.normal, .levelsWithNaN(3)].enumerated().map { i, values in
      Case(
        "relu", "\(shape)\(i == 0 ? "" : " with NaN")", size: size, flops: shape.count, bound: .exact,
        [.input("x", shape, values), .output("y", shape)]
      ) { try $0.relu($1["x"], into: $1["y"]) }
    }
    return forward + [
      Case("relu", "\(shape), in place", size: size, flops: shape.count, bound: .exact, [.updated("x", shape)]) {
        try $0.relu($1["x"], into: $1["x"])
      },
      Case(
        "reluGradient", "\(shape)", size: size, flops: shape.count, bound: .exact,
        [.input("dy", shape), .input("y", shape, .levels(4)), .output("dx", shape)]
      ) { try $0.reluGradient($1["dy"], y: $1["y"], into: $1["dx"]) },
      Case(
        "reluGradient", "\(shape), in place", size: size, flops: shape.count, bound: .exact,
        [.updated("dy", shape), .input("y", shape, .levels(4))]
      ) { try $0.reluGradient($1["dy"], y: $1["y"], into: $1["dy"]) },
    ]
  }

  /// Returns cases of clip with NaN, and in place with one bound.
  private static func clips(_ shape: Shape) -> [Case] {
    [
      Case(
        "clip", "\(shape)", flops: 2 * shape.count, bound: .exact, [.input("x", shape, .levelsWithNaN(9)), .output("y", shape)]
      ) { try $0.clip($1["x"], lower: 0, upper: 6, into: $1["y"]) },
      Case("clip", "\(shape), in place", flops: 2 * shape.count, bound: .exact, [.updated("x", shape)]) {
        try $0.clip($1["x"], lower: -0.5, upper: .infinity, into: $1["x"])
      },
    ]
  }

  /// Cases for every use of rearrange.
  private static var rearrangements: [Case] {
    func strides(_ dimensions: [Int]) -> [Int] { StridedCopy.rowMajorStrides(dimensions) }
    func copy(_ what: String, _ x: Shape, _ y: Shape, _ extents: [Int], _ from: [Int], _ to: [Int], _ starts: (Int, Int) = (0, 0))
      -> Case
    {
      let copy = StridedCopy(
        extents: extents, from: .init(start: starts.0, strides: from), to: .init(start: starts.1, strides: to))
      return Case("rearrange", "\(what), \(copy)", flops: 0, bound: .exact, [.input("x", x), .updated("y", y)]) {
        try $0.rearrange($1["x"], copy, into: $1["y"])
      }
    }
    let (pixels, reversed) = (strides([2, 7, 9, 16]), [3, 2, 3, 2, 3, 2])
    return [
      copy("one", [1], [1], [], [], []), copy("none", [3], [3], [0, 3], [3, 1], [3, 1]),
      copy("all", [3, 17], [51], [3, 17], [17, 1], [17, 1]),
      copy("transposed", [33, 17], [17, 33], [17, 33], [1, 17], [33, 1]),
      copy("channels first", [2, 5, 7, 3], [2, 3, 5, 7], [2, 3, 5, 7], [105, 1, 21, 3], strides([2, 3, 5, 7])),
      copy(
        "six reversed", [2, 3, 2, 3, 2, 3], [3, 2, 3, 2, 3, 2], reversed, [1, 3, 6, 18, 36, 108], strides(reversed)),
      copy("joined to others", [2, 3, 16], [2, 8, 16], [2, 3, 16], [48, 16, 1], [128, 16, 1], (0, 48)),
      copy("within a border", [2, 5, 5, 16], [2, 7, 9, 16], [2, 5, 5, 16], strides([2, 5, 5, 16]), pixels, (0, 10 * 16)),
      copy("cropped", [2, 7, 9, 16], [2, 3, 4, 16], [2, 3, 4, 16], pixels, strides([2, 3, 4, 16]), (20 * 16, 0)),
      copy("repeated", [7, 1, 3], [7, 5, 3], [7, 5, 3], [3, 0, 1], [15, 3, 1]),
      copy("every second", [2, 7, 9, 16], [2, 4, 5, 16], [2, 4, 5, 16], [1008, 288, 32, 1], strides([2, 4, 5, 16])),
      copy(
        "patches", [2, 7, 9, 3], [2, 3, 4, 3, 2, 3], [2, 3, 4, 3, 2, 3], [189, 54, 6, 27, 3, 1], strides([2, 3, 4, 3, 2, 3])),
    ]
  }

  /// Returns cases of padShortcut and of its gradient, which overwrites or adds.
  static func padShortcuts(_ input: Shape, stride: Int, k: Int, size: Case.Size = .small) -> [Case] {
    let output: Shape = [input[0], (input[1] + stride - 1) / stride, (input[2] + stride - 1) / stride, k]
    let detail = "\(input) → \(output), stride \(stride)"
    return [
      Case("padShortcut", detail, size: size, flops: 0, bound: .exact, [.input("x", input), .output("y", output)]) {
        try $0.padShortcut($1["x"], stride: stride, into: $1["y"])
      },
      Case("padShortcutGradient", detail, size: size, flops: 0, bound: .exact, [.input("dy", output), .output("dx", input)]) {
        try $0.padShortcutGradient($1["dy"], stride: stride, accumulate: false, into: $1["dx"])
      },
      Case(
        "padShortcutGradient", detail + ", added", size: size, flops: output.count, bound: .rounding(1, "one sum"),
        [.input("dy", output), .updated("dx", input)]
      ) { try $0.padShortcutGradient($1["dy"], stride: stride, accumulate: true, into: $1["dx"]) },
    ]
  }
}
