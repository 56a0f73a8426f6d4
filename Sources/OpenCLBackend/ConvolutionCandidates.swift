import Compute

extension OpenCLBackend {
  /// The ways worth trying for this work, the most promising first, each of another plan than the built-in one and than each
  /// other. All are as exact as the device's policy wants for that pass (``DeviceTraits/winogradSide``): a plan ignores a number
  /// that would make it less so.
  package func candidates(for work: ConvolutionWork) -> [ConvolutionChoice] {
    let isProduct = work.geometry.r == 1 && work.geometry.s == 1 && work.geometry.stride == 1 && work.geometry.padding == 0
    let wanted =
      WinogradPlan.candidates + (work.pass == .filterGradient ? FilterGradientPlan.candidates : ConvolutionPlan.candidates)
      + (isProduct ? [ConvolutionChoice(.product)] : []) + [ConvolutionChoice(.plain)]
    var seen: Set = [plans(for: work, nil)]
    return wanted.filter { seen.insert(plans(for: work, $0)).inserted }
  }

  /// All that tells one way of doing the work from another: the plans of its phases.
  private func plans(for work: ConvolutionWork, _ choice: ConvolutionChoice?) -> [AnyHashable] {
    let g = work.geometry
    traits.choice = choice
    defer { traits.choice = nil }
    if isProduct(g) { return ["product"] }
    switch work.pass {
    case .filterGradient:
      let g = g.flattened
      return [WinogradPlan(filterGradient: g, traits).map(AnyHashable.init) ?? AnyHashable(FilterGradientPlan(g, traits))]
    case .forward: return [plan(for: ConvolutionProblem(forward: g))]
    case .inputGradient: return inputGradientProblems(g).map { plan(for: $0.problem) }
    }
  }

  private func plan(for problem: ConvolutionProblem) -> AnyHashable {
    if let plan = WinogradPlan(problem, traits) { return plan }
    return ConvolutionPlan(problem, traits).map(AnyHashable.init) ?? AnyHashable("plain")
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
    let tiles = [(2, 8), (1, 16), (4, 4), (2, 12), (4, 6), (1, 8), (1, 12), (2, 4)]
    return [ConvolutionChoice(.direct)] + tiles.map { ConvolutionChoice(.direct, ["TC": $0, "TI": $1]) }
      + [2, 4, 8, 16].map { ConvolutionChoice(.direct, ["SPLITS": $0]) }
  }
}

extension WinogradPlan {
  fileprivate static var candidates: [ConvolutionChoice] {
    let shapes = [(2, 14), (2, 12), (1, 14), (4, 6), (2, 8), (1, 12)]
    return [0, 1].map { ConvolutionChoice(.winograd, ["STAGED": $0]) }
      + shapes.map { ConvolutionChoice(.winograd, ["TC": $0, "TR": $1]) }
      + [(2, 4), (1, 16), (2, 12)].map { ConvolutionChoice(.winograd, ["TC": $0, "TI": $1]) }
      + [ConvolutionChoice(.winograd, ["M": 2])]
  }
}
