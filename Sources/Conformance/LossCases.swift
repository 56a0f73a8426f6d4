import Compute

extension Catalogue {
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
    }
  }

  /// Without and with smoothing and gradient.
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
    let tags = ["smoothing \(smoothing)", gradient ? "gradient" : "", isScaled ? "scaled" : "", isMixed ? "mixed" : "", tag]
      .filter { !$0.isEmpty }
      .joined(separator: ", ")
    // The metrics hold sums of earlier batches.
    let operands: [Operand] = [
      .input("logits", [n, k], logits),
      isMixed
        ? .input("labels", [n, BatchPlan.labelColumns], .mixedLabels(below: k)) : .input("labels", [n], .indices(below: k)),
      .updated("metrics", [3], .exactly([2.5, 3, 4])),
    ]
    return Case(
      "crossEntropy", "[\(n), \(k)], \(tags)", size: size, flops: 6 * n * k, bound: exponentials(n + k),
      operands + (gradient ? [.output("gradient", [n, k])] : [])
        + (isScaled ? [.input("lossScale", [LossScale.count], .exactly([1024, 512, 1, 0, 0] as [Float]))] : [])
    ) {
      try $0.crossEntropy(
        $1["logits"], labels: $1["labels"], smoothing: smoothing, metrics: $1["metrics"],
        gradient: gradient ? $1["gradient"] : nil, lossScale: isScaled ? $1["lossScale"] : nil)
    }
  }

  private static func exponentials(_ terms: Int) -> Bound {
    .sum(of: terms, amplified: 4, "an argument of up to 16 rounded to 16 u, exp itself to 3 units in the last place")
  }

  static var optimiser: [Case] {
    let rules = [0, 0.9].flatMap { momentum in
      [0, 1e-2].flatMap { decay in
        [false, true].map { SGDRule(learningRate: 0.1, momentum: momentum, weightDecay: decay, nesterov: $0) }
      }
    }
    return [1, 3, 33, 4099].flatMap { count in
      rules.map { sgdStep(count, $0) } + [1, 0].map { sgdStep(count, rules[0], isFinite: $0) } + lossScales(count)
    }
  }

  /// After a gradient without infinities, at the end of a growth interval, and with a NaN or an infinity somewhere.
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

  /// - Parameter isFinite: 1 or 0 as a loss scale says it; nil without a scale.
  static func sgdStep(_ count: Int, _ rule: SGDRule, isFinite: Float? = nil, size: Case.Size = .small) -> Case {
    let tags = (rule.nesterov ? ", Nesterov" : "") + (isFinite.map { $0 == 1 ? ", scaled" : ", with an infinity" } ?? "")
    return Case(
      "sgdStep", "\(count), momentum \(rule.momentum), decay \(rule.weightDecay)\(tags)", size: size,
      flops: 6 * count, bound: .rounding(8, "six operations, each half a unit of a term about as large as the result"),
      [.updated("weights", [count]), .input("gradients", [count]), .updated("velocity", [count])]
        + (isFinite.map { [.input("lossScale", [LossScale.count], .exactly([4, 2, $0, 0, 0] as [Float]))] } ?? [])
    ) {
      try $0.sgdStep(
        $1["weights"], gradients: $1["gradients"], velocity: $1["velocity"], rule,
        lossScale: isFinite == nil ? nil : $1["lossScale"])
    }
  }
}

extension Values {
  /// Normal, with one element somewhere that is not.
  fileprivate static func normal(with poison: Float?) -> Values {
    Values(type: .float32) { shape, random in
      var elements = (0..<shape.count).map { _ in random.uniform() * 2 - 1 }
      if let poison { elements[random.below(shape.count)] = poison }
      return HostTensor(elements, shape: shape)
    }
  }

  /// (first, second, share of the first), where the share may be all or nothing, and both the same.
  static func mixedLabels(below bound: Int) -> Values {
    Values(type: .int32) { shape, random in
      let rows = (0..<shape[0]).flatMap { _ in
        let shares = [0, BatchPlan.wholeShare, random.below(BatchPlan.wholeShare)]
        return [random.below(bound), random.below(bound), shares[random.below(3)]]
      }
      return HostTensor(rows.map(Int32.init), shape: shape)
    }
  }

  /// Every second row holds one NaN, at a different place each.
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
