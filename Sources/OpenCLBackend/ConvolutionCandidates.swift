import Compute

extension OpenCLBackend {
  /// The ways worth trying for this work, the most promising first, each of another plan than the built-in one and than each
  /// other. All are as exact as the device's policy wants for that pass (``DeviceTraits/winogradSide``): a plan ignores a number
  /// that would make it less so.
  package func candidates(for work: ConvolutionWork) -> [ConvolutionChoice] {
    let direct = work.pass == .filterGradient ? FilterGradientPlan.candidates : ConvolutionPlan.candidates
    let winograd = WinogradPlan.candidates(isGradient: work.pass == .filterGradient)
    var seen: Set = [plans(for: work, nil)]
    // CLBlast multiplies float32 only.
    let product = work.storage == .float32 ? [ConvolutionChoice(.product)] : []
    return (winograd + direct + product + [ConvolutionChoice(.plain)]).filter { candidate in
      let plans = plans(for: work, candidate)
      return plans.contains { $0.algorithm == candidate.algorithm } && seen.insert(plans).inserted
    }
  }

  /// All that tells one way of doing the work from another: the plan of each phase, nil for a way that has no tiles.
  private struct Plan: Hashable {
    let algorithm: ConvolutionChoice.Algorithm
    var plan: AnyHashable?
  }

  private func plans(for work: ConvolutionWork, _ choice: ConvolutionChoice?) -> [Plan] {
    traits.choice = choice
    defer { traits.choice = nil }
    if isProduct(work.geometry, work.storage) && work.pass != .inference { return [Plan(algorithm: .product)] }
    let g = work.geometry.flattened
    switch work.pass {
    case .filterGradient:
      if let plan = WinogradPlan(filterGradient: g, traits) { return [Plan(algorithm: .winograd, plan: plan)] }
      return [FilterGradientPlan(g, traits).map { Plan(algorithm: .direct, plan: $0) } ?? Plan(algorithm: .plain)]
    case .forward, .forwardWithStatistics, .inference:
      return [plan(for: ConvolutionProblem(forward: g), isTraining: work.pass != .inference)]
    case .inputGradient: return inputGradientPhases(g).map { plan(for: $0.problem, isTraining: false) }
    }
  }

  private func plan(for problem: ConvolutionProblem, isTraining: Bool) -> Plan {
    if let plan = WinogradPlan(problem, traits, isTraining: isTraining) { return Plan(algorithm: .winograd, plan: plan) }
    return ConvolutionPlan(problem, traits).map { Plan(algorithm: .direct, plan: $0) } ?? Plan(algorithm: .plain)
  }
}

extension ConvolutionPlan {
  /// Tiles of one, two and four vectors of channels by rows of pixels that divide usual images evenly or fill the registers.
  fileprivate static var candidates: [ConvolutionChoice] {
    let tiles = [(2, 14), (1, 14), (2, 7), (2, 8), (1, 16), (4, 7), (4, 4), (2, 12), (1, 8), (2, 4), (1, 28), (4, 6), (3, 8)]
    return [ConvolutionChoice(.direct)] + tiles.map { ConvolutionChoice(.direct, ["TC": $0, "TQ": $1]) }
      + [(2, 7), (1, 14), (1, 7)].map { ConvolutionChoice(.direct, ["TC": $0, "TQ": $1, "TP": 2]) }
  }
}

extension FilterGradientPlan {
  fileprivate static var candidates: [ConvolutionChoice] {
    let tiles = [(2, 8), (2, 12), (1, 16), (4, 4), (4, 6), (1, 8), (1, 12), (2, 4), (4, 3), (2, 6), (1, 3)]
    return [ConvolutionChoice(.direct)] + tiles.map { ConvolutionChoice(.direct, ["TC": $0, "TI": $1]) }
      + [2, 4, 8, 16].map { ConvolutionChoice(.direct, ["SPLITS": $0]) }
  }
}

extension WinogradPlan {
  fileprivate static func candidates(isGradient: Bool) -> [ConvolutionChoice] {
    let name = isGradient ? "TI" : "TR"
    let tiles =
      isGradient ? [(4, 4), (2, 8), (1, 16), (2, 12), (4, 6), (2, 4)] : [(2, 12), (2, 14), (1, 14), (4, 6), (2, 8), (1, 12)]
    return [0, 1].map { ConvolutionChoice(.winograd, ["STAGED": $0]) }
      + tiles.map { ConvolutionChoice(.winograd, ["TC": $0, name: $1]) }
      + (isGradient ? [8, 16, 32, 48].map { ConvolutionChoice(.winograd, ["TB": $0]) } : [])
      + [ConvolutionChoice(.winograd, ["M": 2])]
  }
}
