import Compute

extension Operator {
  /// MaxPool and AveragePool.
  static func pool(_ node: Node, _ planner: Planner) throws {
    let input = try planner.computed(node, 0)
    guard let window = try node.ints("kernel_shape") else { throw Failure("attribute 'kernel_shape' is missing") }
    let windows = try Windows(node, input.shape, window: window)
    let isLargest = node.op == "MaxPool"
    if isLargest && planner.isUsed(node, 1) { throw Failure("its second output, the positions, is not supported") }
    if windows.rows.hasEmptyWindow || windows.columns.hasEmptyWindow { throw Failure("there are windows of padding alone") }
    let kind: WindowPool.Kind =
      try isLargest ? .largest : .average(countingPadding: node.flag("count_include_pad"))
    let x = try windows.images(input, planner)
    let y = try windows.output(of: x, channels: x.shape[1], planner)
    let geometry = WindowPool(n: x.shape[0], c: x.shape[1], rows: windows.rows, columns: windows.columns, kind: kind)
    planner.step(reads: [x], writes: [y]) { try $0.backend.pool($0[x], geometry, into: $0[y]) }
    planner.define(node, windows.result(y))
  }

  static func globalAveragePool(_ node: Node, _ planner: Planner) throws {
    let input = try planner.computed(node, 0)
    let rank = input.shape.count
    guard rank >= 3 else { throw Failure("its input is \(describe(input.shape)): there are no pixels") }
    // The image's pixels in any order.
    let x = try planner.arranged(input, [0] + Array(2..<rank) + [1])
    let (n, c) = (x.shape[0], x.shape[1])
    let pixels = x.shape[2...].reduce(1, *)
    let y = try planner.new([n, c] + [Int](repeating: 1, count: rank - 2))
    planner.step(reads: [x], writes: [y]) { try $0.backend.globalAveragePool($0[x, [n, pixels, 1, c]], into: $0[y, [n, c]]) }
    planner.define(node, y)
  }
}
