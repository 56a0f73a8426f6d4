import Compute

extension Catalog {
  static var loss: [Case] {
    let shapes = [(1, 1), (1, 2), (3, 2), (5, 10), (33, 10), (17, 17), (128, 10), (3, 1000), (17, 1000)]
    return shapes.flatMap { n, k in
      [softmax(n, k), softmax(n, k, .normal(mean: 0, deviation: 1e4), "large"), softmax(n, k, .levels(2), "equal")]
        + crossEntropies(n, k)
        + [
          crossEntropy(n, k, smoothing: 0.1, gradient: true, .normal(mean: 0, deviation: 1e4), "large"),
          crossEntropy(n, k, smoothing: 0, gradient: true, .levels(3), "equal"),
          crossEntropy(n, k, smoothing: 0.1, gradient: true, .rowsWithNaN, "NaN"),
          crossEntropy(n, k, smoothing: 0.1, gradient: true, isScaled: true),
          crossEntropy(n, k, smoothing: 0, gradient: true, isMixed: true),
          crossEntropy(n, k, smoothing: 0.1, gradient: true, .levels(3), "equal", isMixed: true),
          crossEntropy(n, k, smoothing: 0.1, gradient: true, .rowsWithNaN, "NaN", isMixed: true),
        ]
        + weighted(n, k)
    }
  }

  /// Returns cases with class weights. The gradient of a single class is 0, of which only rounding is left.
  private static func weighted(_ n: Int, _ k: Int) -> [Case] {
    if k == 1 { return [] }
    return [false, true].map { sumClassWeights(n, k, isMixed: $0) }
      + [0, 0.1].map { weightedCrossEntropy(n, k, smoothing: $0, gradient: false) }
      + [
        weightedCrossEntropy(n, k, smoothing: 0, gradient: true),
        weightedCrossEntropy(n, k, smoothing: 0.1, gradient: true, isScaled: true),
        weightedCrossEntropy(n, k, smoothing: 0.1, gradient: true, .rowsWithNaN, "NaN"),
        weightedCrossEntropy(n, k, smoothing: 0.1, gradient: true, isMixed: true),
        weightedCrossEntropy(
          n, k, smoothing: 0.1, gradient: true, .normal(mean: 0, deviation: 3), "without weight", total: 0),
      ]
  }

  /// Returns cases with and without smoothing and gradient.
  static func crossEntropies(_ n: Int, _ k: Int, size: Case.Size = .small) -> [Case] {
    [0, 0.1].flatMap { smoothing in
      [false, true].map { crossEntropy(n, k, smoothing: smoothing, gradient: $0, size: size) }
    }
  }

  static func softmax(
    _ n: Int, _ k: Int, _ logits: Values = .normal(mean: 0, deviation: 3), _ tag: String = "", size: Case.Size = .small
  ) -> Case {
    Case(
      "softmax", "[\(n), \(k)]\(tag.isEmpty ? "" : ", \(tag)")", size: size, flops: 4 * n * k, bound: exponentials(k),
      [.input("logits", [n, k], logits), .output("probabilities", [n, k])]
    ) { try $0.softmax($1["logits"], into: $1["probabilities"]) }
  }

  private static func crossEntropy(
    _ n: Int, _ k: Int, smoothing: Double, gradient: Bool, _ logits: Values = .normal(mean: 0, deviation: 3),
    _ tag: String = "", isScaled: Bool = false, isMixed: Bool = false, size: Case.Size = .small
  ) -> Case {
    Case(
      "crossEntropy", tags(n, k, smoothing, gradient, isScaled, isMixed, tag), size: size, flops: 6 * n * k,
      bound: exponentials(n + k), operands(n, k, logits, gradient, isScaled, isMixed)
    ) {
      try $0.crossEntropy(
        $1["logits"], labels: $1["labels"], smoothing: smoothing, metrics: $1["metrics"],
        gradient: gradient ? $1["gradient"] : nil, lossScale: isScaled ? $1["lossScale"] : nil)
    }
  }

  private static func tags(
    _ n: Int, _ k: Int, _ smoothing: Double, _ gradient: Bool, _ isScaled: Bool, _ isMixed: Bool, _ tag: String
  ) -> String {
    let tags = ["smoothing \(smoothing)", gradient ? "gradient" : "", isScaled ? "scaled" : "", isMixed ? "mixed" : "", tag]
    return "[\(n), \(k)], " + tags.filter { !$0.isEmpty }.joined(separator: ", ")
  }

  /// Returns the operands of a loss. The metrics contain sums of earlier batches.
  private static func operands(
    _ n: Int, _ k: Int, _ logits: Values, _ gradient: Bool, _ isScaled: Bool, _ isMixed: Bool
  ) -> [Operand] {
    [.input("logits", [n, k], logits), labels(n, k, isMixed), .updated("metrics", [3], .exactly([2.5, 3, 4]))]
      + (gradient ? [.output("gradient", [n, k])] : [])
      + (isScaled ? [.input("lossScale", [LossScale.count], .exactly([1024, 512, 1, 0, 0] as [Float]))] : [])
  }

  private static func labels(_ n: Int, _ k: Int, _ isMixed: Bool) -> Operand {
    isMixed
      ? .input("labels", [n, BatchPlan.labelColumns], .mixedLabels(below: k)) : .input("labels", [n], .indices(below: k))
  }

  private static func sumClassWeights(_ n: Int, _ k: Int, isMixed: Bool) -> Case {
    Case(
      "sumClassWeights", "[\(n)] of \(k) classes\(isMixed ? ", mixed" : "")", flops: n,
      bound: .sum(of: 2 * n, amplified: 1, "no term is negative"),
      [.input("weights", [k], .uniform(0.1, 4)), labels(n, k, isMixed), .output("totals", [2])]
    ) { try $0.sumClassWeights($1["weights"], labels: $1["labels"], into: $1["totals"]) }
  }

  /// - Parameter total: sum of the class weights as the case states it; it need not match the labels.
  private static func weightedCrossEntropy(
    _ n: Int, _ k: Int, smoothing: Double, gradient: Bool, _ logits: Values = .normal(mean: 0, deviation: 3),
    _ tag: String = "", isScaled: Bool = false, isMixed: Bool = false, total: Float? = nil
  ) -> Case {
    Case(
      "weightedCrossEntropy", tags(n, k, smoothing, gradient, isScaled, isMixed, tag), flops: 8 * n * k,
      bound: exponentials(n + k),
      operands(n, k, logits, gradient, isScaled, isMixed)
        + [
          .input("weights", [k], .uniform(0.1, 4)),
          .input("totals", [2], .exactly([total ?? 1.5 * Float(n), Float(n)])),
        ]
    ) {
      try $0.weightedCrossEntropy(
        $1["logits"], labels: $1["labels"], weights: $1["weights"], totals: $1["totals"], smoothing: smoothing,
        metrics: $1["metrics"], gradient: gradient ? $1["gradient"] : nil, lossScale: isScaled ? $1["lossScale"] : nil)
    }
  }

  private static func exponentials(_ terms: Int) -> Bound {
    .sum(of: terms, amplified: 4, "an argument of up to 16 rounded to 16 u, exp itself to 3 units in the last place")
  }

  static var optimizer: [Case] {
    let rules = [0, 0.9].flatMap { momentum in
      [0, 1e-2].flatMap { decay in
        [false, true].map { SGDRule(learningRate: 0.1, momentum: momentum, weightDecay: decay, nesterov: $0) }
      }
    }
    return [1, 3, 33, 4099].flatMap { count in
      var cases = rules.map { sgdStep(count, $0) } + lossScales(count)
      cases += [1, 0].map { sgdStep(count, rules[0], Use(isFinite: $0)) }
      cases.append(sgdStep(count, rules[5], Use(isFinite: 1, isClipped: true)))
      cases += [6, 0].map { adapted(count, square: $0) }
      cases += [Use(), Use(isFinite: 1), Use(isFinite: 0), Use(isClipped: true)].map { adamWStep(count, $0) }
      return cases + [squaredNorm(count), moveAverage(count)]
    }
  }

  /// Returns cases with a finite gradient, at the end of a growth interval, and with a NaN or an infinity at some position.
  private static func lossScales(_ count: Int) -> [Case] {
    let states: [(steps: Float, poison: Float?)] = [
      (0, nil), (Float(LossScale.growthInterval - 1), nil), (7, .nan), (7, .infinity), (7, -.infinity),
    ]
    return states.map { steps, poison in
      Case(
        "updateLossScale", "\(count), \(steps) steps\(poison.map { ", \($0)" } ?? "")", flops: count, bound: .exact,
        [
          .updated("lossScale", [LossScale.count], .exactly([2048, 1024, 1, steps, 3] as [Float])),
          .input("gradients", [count], .normal(with: poison)),
        ]
      ) { try $0.updateLossScale($1["lossScale"], gradients: $1["gradients"]) }
    }
  }

  /// The way in which a case uses its gradients.
  struct Use: Sendable {
    /// Flag ``LossScale/isFinite`` of the loss scale, 1 or 0; nil without a loss scale.
    var isFinite: Float?
    var isClipped = false

    fileprivate var tags: String {
      (isFinite.map { $0 == 1 ? ", scaled" : ", with an infinity" } ?? "") + (isClipped ? ", clipped" : "")
    }

    fileprivate func operands(adaptedTo square: Float? = nil) -> [Operand] {
      (isFinite.map { [.input("lossScale", [LossScale.count], .exactly([4, 2, $0, 0, 2] as [Float]))] } ?? [])
        + (isClipped || square != nil ? [.input("norms", [3], .exactly([144, 9, square ?? 4] as [Float]))] : [])
    }

    fileprivate func use(_ operands: Operands, isAdapted: Bool = false) -> GradientUse {
      GradientUse(
        factor: 0.5, lossScale: isFinite == nil ? nil : operands["lossScale"], maximumNorm: isClipped ? 1 : nil,
        norms: isClipped || isAdapted ? operands["norms"] : nil)
    }
  }

  static func sgdStep(_ count: Int, _ rule: SGDRule, _ use: Use = Use(), size: Case.Size = .small) -> Case {
    Case(
      "sgdStep",
      "\(count), momentum \(rule.momentum), decay \(rule.weightDecay)\(rule.nesterov ? ", Nesterov" : "")\(use.tags)", size: size,
      flops: 6 * count, bound: .rounding(8, "six operations, each half a unit of a term about as large as the result"),
      [.updated("weights", [count]), .input("gradients", [count]), .updated("velocity", [count])] + use.operands()
    ) {
      try $0.sgdStep($1["weights"], gradients: $1["gradients"], velocity: $1["velocity"], rule, use.use($1))
    }
  }

  /// - Parameter square: square of the weights' norm as the case states it; it need not match the weights.
  private static func adapted(_ count: Int, square: Float) -> Case {
    let rule = SGDRule(
      learningRate: 0.1, momentum: 0.9, weightDecay: 1e-2, adaptation: LayerAdaptation(trust: 0.5, index: 1))
    return Case(
      "sgdStep", "\(count), adapted to a square of \(square)", flops: 7 * count,
      bound: .rounding(12, "seven operations and the adaptation's six"),
      [.updated("weights", [count]), .input("gradients", [count]), .updated("velocity", [count])]
        + Use().operands(adaptedTo: square)
    ) {
      try $0.sgdStep(
        $1["weights"], gradients: $1["gradients"], velocity: $1["velocity"], rule, Use().use($1, isAdapted: true))
    }
  }

  static func adamWStep(_ count: Int, _ use: Use = Use(), size: Case.Size = .small) -> Case {
    let rule = AdamWRule(learningRate: 0.01, step: 5)
    return Case(
      "adamWStep", "\(count)\(use.tags)", size: size, flops: 14 * count,
      bound: .rounding(16, "two divisions, a root and ten more operations, each of a term no larger than the result"),
      [
        .updated("weights", [count]), .input("gradients", [count]), .updated("mean", [count]),
        .updated("square", [count], .uniform(0.01, 1)),
      ] + use.operands()
    ) {
      try $0.adamWStep(
        $1["weights"], gradients: $1["gradients"], mean: $1["mean"], square: $1["square"], rule, use.use($1))
    }
  }

  static func squaredNorm(_ count: Int, size: Case.Size = .small) -> Case {
    Case(
      "squaredNorm", "\(count)", size: size, flops: 2 * count,
      bound: .sum(of: count, amplified: 1, "no term has another sign"),
      [.input("x", [count]), .updated("norms", [3])]
    ) { try $0.squaredNorm($1["x"], into: $1["norms"], at: 1) }
  }

  static func moveAverage(_ count: Int, size: Case.Size = .small) -> Case {
    Case(
      "moveAverage", "\(count)", size: size, flops: 3 * count, bound: .rounding(4, "a difference and a multiply-add"),
      [.updated("average", [count]), .input("x", [count])]
    ) { try $0.moveAverage($1["average"], toward: $1["x"], by: 0.1) }
  }
}

extension Values {
  /// Returns ordinary values in which `poison`, if given, replaces one element at a random position.
  static func normal(with poison: Float?) -> Values {
    Values(type: .float32) { shape, random in
      var elements = (0..<shape.count).map { _ in random.uniform() * 2 - 1 }
      if let poison { elements[random.below(shape.count)] = poison }
      return HostTensor(elements, shape: shape)
    }
  }

  /// Returns rows (first, second, share of the first). The share may be all or nothing, and both labels may be the same.
  static func mixedLabels(below bound: Int) -> Values {
    Values(type: .int32) { shape, random in
      let rows = (0..<shape[0]).flatMap { _ in
        let shares = [0, BatchPlan.wholeShare, random.below(BatchPlan.wholeShare)]
        return [random.below(bound), random.below(bound), shares[random.below(3)]]
      }
      return HostTensor(rows.map(Int32.init), shape: shape)
    }
  }

  /// Values of which every second row holds one NaN, at a different position each.
  fileprivate static let rowsWithNaN = Values(type: .float32) { shape, random in
    let columns = shape[1]
    let elements = (0..<shape.count).map { i in
      let (row, column) = i.quotientAndRemainder(dividingBy: columns)
      let value = random.uniform() * 8 - 4
      return row % 2 == 1 && column == row * 7 % columns ? Float.nan : value
    }
    return HostTensor(elements, shape: shape)
  }
}
