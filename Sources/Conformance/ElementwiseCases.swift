import Compute

extension Catalogue {
  static var elementwise: [Case] {
    let shapes: [Shape] = [[1], [3], [17], [33, 3], [2, 7, 7, 17], [1, 14, 14, 64], [4099]]
    let shortcuts: [(Shape, Int, Int)] = [
      ([1, 1, 1, 1], 1, 1), ([2, 3, 3, 1], 2, 16), ([2, 32, 32, 16], 2, 32), ([1, 17, 14, 10], 2, 17), ([3, 7, 7, 16], 1, 33),
      ([2, 33, 33, 3], 3, 10), ([5, 14, 17, 17], 1, 17), ([1, 28, 28, 32], 2, 64),
    ]
    return shapes.flatMap { sums($0) + rectifiers($0) }
      + shortcuts.flatMap { input, stride, k in padShortcuts(input, stride: stride, k: k) }
  }

  /// add, plain and with ReLU, into a third tensor and in place of either.
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

  /// relu and its gradient, each also in place, and relu of NaN.
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

  /// padShortcut and its gradient, overwriting and adding.
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
