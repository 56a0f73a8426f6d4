import Compute

extension Catalog {
  static var pooling: [Case] {
    let geometries = [
      Pool2D(input: [1, 1, 1, 1], window: 1, stride: 1),
      Pool2D(input: [2, 3, 3, 3], window: 3, stride: 2, padding: 1),
      Pool2D(input: [2, 17, 17, 16], window: 3, stride: 2, padding: 1),
      Pool2D(input: [1, 32, 28, 17], window: 3, stride: 2, padding: 1),
      Pool2D(input: [3, 33, 33, 10], window: 2, stride: 2),
      Pool2D(input: [5, 7, 14, 33], window: 2, stride: 2, padding: 1),
      Pool2D(input: [2, 14, 14, 8], window: 3, stride: 1, padding: 1),
      Pool2D(input: [1, 14, 14, 64], window: 5, stride: 3, padding: 2),
      Pool2D(input: [2, 10, 10, 16], window: 2, stride: 3),
      Pool2D(input: [1, 16, 17, 1], window: 16, stride: 1),
    ]
    let averages: [Shape] = [[1, 1, 1, 1], [2, 3, 7, 17], [3, 8, 8, 64], [5, 7, 7, 33], [1, 28, 28, 10], [33, 4, 4, 128]]
    return geometries.flatMap { g in
      [maxPool(g), maxPool(g, .levels(3), "equal values"), maxPool(g, .levelsWithNaN(3), "NaN"), maxPoolGradient(g)]
    } + averages.flatMap { averagePool($0) } + windows.flatMap { pools($0, $1, c: $2) }
      + shrinkings.map { shrink($0, to: $1, $2) }
  }

  static func maxPool(_ g: Pool2D, _ values: Values = .normal, _ tag: String = "", size: Case.Size = .small) -> Case {
    Case(
      "maxPool", g.description + (tag.isEmpty ? "" : ", \(tag)"), size: size, flops: g.output.count * g.window * g.window,
      bound: .exact, [.input("x", g.input, values), .output("y", g.output), .output("positions", g.output, .uint8)]
    ) { try $0.maxPool($1["x"], g, into: $1["y"], positions: $1["positions"]) }
  }

  /// Windows that are not square, overlap the borders unevenly, have holes, or reach beyond the padding, each with a number of
  /// channels.
  private static var windows: [(SlidingAxis, SlidingAxis, Int)] {
    [
      (SlidingAxis(input: 1, window: 1), SlidingAxis(input: 1, window: 1), 1),
      (SlidingAxis(input: 16, window: 3, stride: 2, after: 1), SlidingAxis(input: 16, window: 3, stride: 2, after: 1), 16),
      (SlidingAxis(input: 7, window: 2, stride: 3, before: 1), SlidingAxis(input: 9, window: 3, before: 2, after: 1), 3),
      (
        SlidingAxis(input: 9, window: 3, stride: 2, dilation: 2, coversRest: true),
        SlidingAxis(input: 10, window: 3, stride: 2, before: 1, after: 1, coversRest: true), 17
      ),
    ]
  }

  private static func pools(_ rows: SlidingAxis, _ columns: SlidingAxis, c: Int) -> [Case] {
    let kinds: [WindowPool.Kind] = [.largest, .average(countingPadding: false), .average(countingPadding: true)]
    return kinds.map { kind in
      let g = WindowPool(n: 2, c: c, rows: rows, columns: columns, kind: kind)
      let taps = rows.window * columns.window
      return Case(
        "pool", g.description, flops: g.output.count * taps, bound: kind == .largest ? .exact : .sum(of: taps),
        [.input("x", g.input, kind == .largest ? .levelsWithNaN(5) : .factors(of: g.output)), .output("y", g.output)]
      ) { try $0.pool($1["x"], g, into: $1["y"]) }
    }
  }

  /// Images and the sizes that they become: equal sizes, whole and broken ratios, and a single pixel.
  private static var shrinkings: [(Shape, Int, Int)] {
    [
      ([1, 1, 1, 1], 1, 1), ([2, 7, 7, 17], 3, 5), ([3, 28, 28, 1], 16, 16), ([2, 32, 30, 3], 16, 29), ([1, 9, 8, 16], 9, 1),
      ([5, 33, 17, 3], 32, 17),
    ]
  }

  private static func shrink(_ shape: Shape, to height: Int, _ width: Int) -> Case {
    let result: Shape = [shape[0], height, width, shape[3]]
    let taps = (shape[1] / height + 2) * (shape[2] / width + 2)
    return Case(
      "shrink", "\(shape) → \(result)", flops: 2 * result.count * taps, bound: .sum(of: taps),
      [.input("x", shape, .factors(of: result)), .output("y", result)]
    ) { try $0.shrink($1["x"], into: $1["y"]) }
  }

  static func maxPoolGradient(_ g: Pool2D, size: Case.Size = .small) -> Case {
    let overlap = ((g.window + g.stride - 1) / g.stride) * ((g.window + g.stride - 1) / g.stride)
    return Case(
      "maxPoolGradient", g.description, size: size, flops: g.output.count, bound: .sum(of: overlap),
      [.input("dy", g.output), .input("positions", g.output, .positions(g)), .output("dx", g.input)]
    ) { try $0.maxPoolGradient($1["dy"], positions: $1["positions"], g, into: $1["dx"]) }
  }

  /// Returns the forward case and the gradient case.
  static func averagePool(_ shape: Shape, size: Case.Size = .small) -> [Case] {
    let rows: Shape = [shape[0], shape[3]]
    return [
      Case(
        "globalAveragePool", "\(shape)", size: size, flops: shape.count, bound: .sum(of: shape[1] * shape[2]),
        [.input("x", shape, .factors(of: rows)), .output("y", rows)]
      ) { try $0.globalAveragePool($1["x"], into: $1["y"]) },
      Case(
        "globalAveragePoolGradient", "\(shape)", size: size, flops: shape.count,
        bound: .rounding(4, "a quotient, or a reciprocal and a product"), [.input("dy", rows), .output("dx", shape)]
      ) { try $0.globalAveragePoolGradient($1["dy"], into: $1["dx"]) },
    ]
  }
}

extension Values {
  /// Returns a random position for each window that lies inside the image.
  fileprivate static func positions(_ g: Pool2D) -> Values {
    Values(type: .uint8) { shape, random in
      func inside(_ start: Int, _ size: Int) -> Int {
        let first = max(0, -start)
        return first + random.below(min(g.window, size - start) - first)
      }
      let elements = (0..<shape.count).map { i in
        let (pixel, _) = i.quotientAndRemainder(dividingBy: g.c)
        let r = inside(pixel / g.q % g.p * g.stride - g.padding, g.h)
        let s = inside(pixel % g.q * g.stride - g.padding, g.w)
        return UInt8(r * g.window + s)
      }
      return HostTensor(elements, shape: shape)
    }
  }
}
