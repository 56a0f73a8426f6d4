import Compute

extension Catalog {
  static var batchNorm: [Case] {
    let shapes: [Shape] = [
      [2, 1, 1, 1], [1, 3, 1, 3], [3, 7, 7, 10], [2, 17, 17, 16], [5, 3, 3, 17], [1, 14, 14, 33], [2, 7, 7, 64], [2, 4, 4, 128],
      [33, 17], [1, 33, 33, 8],
    ]
    return shapes.flatMap { shape in
      [statistics(shape), statistics(shape, mean: 1000)] + normalization(shape) + gradients(shape)
    } + [0, 1000].map { statistics([3001, 12], mean: $0) }  // rows in many chunks
      + [1, 17, 64, 1000].flatMap { [inverseDeviation($0), folding($0)] }
  }

  /// - Parameter mean: mean of the data, whose deviation is 1. A large mean costs E[x²] − E[x]² all digits.
  static func statistics(_ shape: Shape, mean: Float = 0, size: Case.Size = .small) -> Case {
    let channels: Shape = [shape[shape.rank - 1]]
    let m = shape.count / channels.count
    return Case(
      "batchNormStatistics", "\(shape)\(mean == 0 ? "" : " of mean \(mean)")", size: size, flops: 5 * shape.count,
      bound: mean == 0 ? .sum(of: m) : .variance(of: m, condition: Double(mean)),
      [
        .input("x", shape, .normal(mean: mean, deviation: 1)), .output("mean", channels), .output("inverseDeviation", channels),
        .updated("runningMean", channels), .updated("runningVariance", channels, .uniform(0.5, 1.5)),
      ]
    ) {
      try $0.batchNormStatistics($1["x"], $1.statistics(epsilon: 1e-5, momentum: 0.1))
    }
  }

  private static func inverseDeviation(_ count: Int) -> Case {
    Case(
      "inverseDeviation", "\(count)", flops: 3 * count, bound: .rounding(8, "a sum, a root and a quotient of a few units each"),
      [.input("variance", [count], .uniform(1e-4, 4)), .output("y", [count])]
    ) { try $0.inverseDeviation(ofVariance: $1["variance"], epsilon: 1e-5, into: $1["y"]) }
  }

  private static func folding(_ count: Int) -> Case {
    Case(
      "foldBatchNorm", "\(count)", flops: 6 * count, bound: .rounding(16, "a sum, a root, a quotient and a multiply-add"),
      [
        .input("mean", [count]), .input("variance", [count], .uniform(1e-4, 4)), .input("scale", [count], .uniform(0.5, 1.5)),
        .input("bias", [count]), .output("foldedScale", [count]), .output("foldedBias", [count]),
      ]
    ) {
      try $0.foldBatchNorm(
        BatchNormEstimates(mean: $1["mean"], variance: $1["variance"], scale: $1["scale"], bias: $1["bias"]), epsilon: 1e-5,
        scale: $1["foldedScale"], bias: $1["foldedBias"])
    }
  }

  /// Returns cases with and without residual and ReLU, each also in place.
  static func normalization(_ shape: Shape, size: Case.Size = .small) -> [Case] {
    [false, true].flatMap { relu in
      [false, true].flatMap { residual in
        [false, true].map { normalization(shape, residual: residual, relu: relu, inPlace: $0, size: size) }
      }
    }
  }

  static func normalization(_ shape: Shape, residual: Bool, relu: Bool, inPlace: Bool, size: Case.Size) -> Case {
    let tags = [residual ? "residual" : "", relu ? "relu" : "", inPlace ? "in place" : ""]
    let data: [Operand] = inPlace ? [.updated("x", shape)] : [.input("x", shape), .output("y", shape)]
    return Case(
      "batchNorm", detail(shape, tags), size: size, flops: (4 + (residual ? 1 : 0) + (relu ? 1 : 0)) * shape.count,
      bound: .rounding(8, "four operations, each half a unit of a term about as large as the result"),
      data + (residual ? [.input("residual", shape)] : []) + channelOperands(shape)
    ) {
      try $0.batchNorm(
        $1["x"], $1.channels, residual: residual ? $1["residual"] : nil, relu: relu, into: $1[inPlace ? "x" : "y"])
    }
  }

  private enum Alias: String, CaseIterable {
    case none = ""
    case dx = "dx is dy"
    case x = "dx is x"
    case dresidual = "dresidual is dy"
  }

  /// Returns cases with and without residual and ReLU, each also with a result that replaces dy or x.
  static func gradients(_ shape: Shape, size: Case.Size = .small) -> [Case] {
    [false, true].flatMap { relu in
      [false, true].flatMap { residual in
        Alias.allCases.filter { $0 != .dresidual || residual }.map {
          gradient(shape, residual: residual, relu: relu, $0, size: size)
        }
      }
    }
      + Alias.allCases.filter { $0 != .dresidual }.map {
        gradient(shape, residual: false, relu: true, recomputed: true, $0, size: size)
      }
  }

  static func gradient(_ shape: Shape, residual: Bool, relu: Bool, size: Case.Size) -> Case {
    gradient(shape, residual: residual, relu: relu, recomputed: relu && !residual, .none, size: size)
  }

  private static func gradient(
    _ shape: Shape, residual: Bool, relu: Bool, recomputed: Bool = false, _ alias: Alias, size: Case.Size
  ) -> Case {
    let channels: Shape = [shape[shape.rank - 1]]
    let m = shape.count / channels.count
    let (dx, dresidual) = (alias == .dx ? "dy" : alias == .x ? "x" : "dx", alias == .dresidual ? "dy" : "dresidual")
    var operands: [Operand] = [
      alias == .x ? .updated("x", shape) : .input("x", shape),
      alias == .none || alias == .x ? .input("dy", shape) : .updated("dy", shape),
    ]
    if dx == "dx" { operands.append(.output("dx", shape)) }
    if residual && alias != .dresidual { operands.append(.output("dresidual", shape)) }
    // Half of y is not positive, and part of it is exactly zero.
    if relu && !recomputed { operands.append(.input("y", shape, .levels(4))) }
    operands += [.output("dscale", channels), .output("dbias", channels)] + channelOperands(shape)
    return Case(
      "batchNormGradient",
      detail(shape, [residual ? "residual" : "", relu ? "relu" : "", recomputed ? "recomputed" : "", alias.rawValue]), size: size,
      flops: 11 * shape.count, bound: .sum(of: m, amplified: 2, "dx takes two of them"), operands
    ) {
      try $0.batchNormGradient(
        $1["dy"], x: $1["x"], mask: !relu ? .none : recomputed ? .recomputed : .result($1["y"]), $1.channels, into: $1[dx],
        dscale: $1["dscale"], dbias: $1["dbias"],
        dresidual: residual ? $1[dresidual] : nil)
    }
  }

  private static func channelOperands(_ shape: Shape) -> [Operand] {
    let channels: Shape = [shape[shape.rank - 1]]
    return [
      .input("mean", channels), .input("inverseDeviation", channels, .uniform(0.5, 2)),
      .input("scale", channels, .uniform(0.5, 1.5)), .input("bias", channels),
    ]
  }

  private static func detail(_ shape: Shape, _ tags: [String]) -> String {
    ([shape.description] + tags.filter { !$0.isEmpty }).joined(separator: ", ")
  }
}
