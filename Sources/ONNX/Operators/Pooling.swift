import Compute
import Support

extension Operator {
  /// Plans MaxPool and AveragePool.
  static func pool(_ node: Node, _ planner: Planner) throws {
    let input = try planner.computed(node, 0)
    guard let window = try node.ints("kernel_shape") else { throw Failure(.damagedFile, "attribute 'kernel_shape' is missing") }
    let windows = try Windows(node, input.shape, window: window)
    let isLargest = node.op == "MaxPool"
    if isLargest && planner.isUsed(node, 1) { throw Failure(.unsupported, "its second output, the positions, is not supported") }
    if windows.rows.hasEmptyWindow || windows.columns.hasEmptyWindow {
      throw Failure(.unsupported, "there are windows of padding alone")
    }
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
    guard rank >= 3 else { throw Failure(.damagedFile, "its input is \(describe(input.shape)): there are no pixels") }
    planner.define(node, try mean(of: input, over: Set(2..<rank), planner))
  }

  /// Plans the mean over any dimensions. PyTorch writes global average pooling as the mean over the pixels.
  static func reduceMean(_ node: Node, _ planner: Planner) throws {
    let input = try planner.computed(node, 0)
    let rank = input.shape.count
    let given = try planner.has(node, 1) ? planner.integers(node, 1) : node.ints("axes") ?? []
    let keeps = try node.int("keepdims", default: 1) == 1
    if try given.isEmpty && node.flag("noop_with_empty_axes") { return planner.define(node, input) }
    let axes = given.isEmpty ? Set(0..<rank) : Set(try given.map { try node.axis($0, rank: rank) })
    let y = try mean(of: input, over: axes, planner)
    planner.define(node, keeps ? y : axes.sorted().reversed().reduce(y) { $0.removing($1) })
  }

  /// Returns the mean over some dimensions, of each of which one element is left.
  private static func mean(of input: Computed, over axes: Set<Int>, _ planner: Planner) throws -> Computed {
    let kept = input.shape.indices.filter { !axes.contains($0) }
    let shape = input.shape.indices.map { axes.contains($0) ? 1 : input.shape[$0] }
    // The mean is that of images [N, pixels, C]. C is the last dimension that is kept, N all others that are kept. The dimensions
    // that are averaged over are the pixels, in any order.
    let (outer, inner) = (Array(kept.dropLast()), Array(kept.suffix(1)))
    let x = try planner.arranged(input, outer + axes.sorted() + inner)
    let y = try planner.new(shape, order: outer + axes.sorted() + inner)
    func count(_ dimensions: [Int]) -> Int { dimensions.reduce(1) { $0 * x.shape[$1] } }
    let (n, pixels, c) = (count(outer), count(axes.sorted()), count(inner))
    planner.step(reads: [x], writes: [y]) { try $0.backend.globalAveragePool($0[x, [n, pixels, 1, c]], into: $0[y, [n, c]]) }
    return y
  }
}
