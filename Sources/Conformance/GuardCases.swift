import Compute

extension Catalog {
  static var guards: [Case] {
    [1, 33, 4099].flatMap { count in
      Fault.allCases.flatMap { [guardStep(count, $0), guardStep(count, $0, isScaled: true)] }
        + [guardStep(count, .none, row: 2), guardStep(count, .loss, row: 1), guardStep(count, .none, isOpen: false)]
        + [1, 0].map { copyIf(count, flag: $0) }
    }
  }

  /// The operand of a step that has a number that is not finite.
  enum Fault: String, CaseIterable, Sendable {
    case none, loss, gradient, infinity
    case statistic
    /// A gradient that the loss scale enlarges.
    case overflow
  }

  /// - Parameters:
  ///   - count: number of statistics, and number of gradients.
  ///   - row: number of steps before in a row that were at fault. The limit is 2.
  private static func guardStep(
    _ count: Int, _ fault: Fault, isScaled: Bool = false, row: Float = 0, isOpen: Bool = true
  ) -> Case {
    let isFinite: Float = fault == .gradient || fault == .infinity || fault == .overflow ? 0 : 1
    let scale: [Float] = isScaled ? [64, fault == .overflow ? 32 : 1, isFinite, 7, 3] : [1, 1, 1, 0, 3]
    let loss: Float = fault == .loss ? -.infinity : 2.5
    let poison: Float? = isFinite == 1 ? nil : fault == .infinity ? .infinity : .nan
    return Case(
      "guardStep", "\(count), \(fault), row \(row)\(isOpen ? "" : ", closed")\(isScaled ? ", scaled" : "")", flops: 2 * count,
      bound: .exact,
      [
        .updated("flags", [GuardFlags.count], .exactly([0, isOpen ? 1 : 0, row] as [Float])),
        .updated("scale", [LossScale.count], .exactly(scale)), .updated("metrics", [3], .exactly([loss, 3, 4] as [Float])),
        .input("statistics", [count], .normal(with: fault == .statistic ? .infinity : nil)),
      ] + (isScaled ? [] : [.input("gradients", [count], .normal(with: poison))])
    ) {
      try $0.guardStep(
        $1["flags"], scale: $1["scale"], metrics: $1["metrics"], statistics: $1["statistics"],
        gradients: $1.optional("gradients"), limit: 2)
    }
  }

  private static func copyIf(_ count: Int, flag: Float) -> Case {
    Case(
      "copyIf", "\(count), flag \(flag)", flops: 0, bound: .exact,
      [.input("flags", [3], .exactly([0, flag, 0] as [Float])), .input("x", [count]), .updated("y", [count])]
    ) { try $0.copyIf($1["flags"], at: 1, $1["x"], into: $1["y"]) }
  }
}
