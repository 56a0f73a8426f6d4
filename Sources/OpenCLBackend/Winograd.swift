import Compute
import Kernels

/// How `winograd.cl` is specialised and launched for the convolution of stride 1 of a problem, or its filter gradient.
struct WinogradPlan: Hashable {
  /// Floats in a vector; vectors of output channels and tiles in a register tile.
  let width, channelVectors, tileRows: Int
  /// Tiles of 4×4 outputs that a work-item holds at a time.
  let tilesAtOnce: Int
  /// Tiles in a column, in a row, and in all images.
  let down, across, tiles: Int

  /// Nil where the direct kernel serves better or the shape is not one for Winograd: other filters and strides, and channels that
  /// are few or not whole vectors.
  init?(_ problem: ConvolutionProblem, _ traits: DeviceTraits) {
    let isDense = problem.yColumn == problem.k && problem.yRow == problem.q * problem.k && problem.yStart == 0
    guard traits.isCPU, problem.r == 3, problem.s == 3, problem.stride == 1, isDense, problem.wStart == 0 else { return nil }
    width = traits.vectorWidth
    guard problem.c % width == 0, problem.k % width == 0, min(problem.c, problem.k) >= 32 else { return nil }
    channelVectors = problem.k % (2 * width) == 0 ? 2 : 1
    tileRows = max(1, min(12, traits.accumulators / channelVectors))
    (down, across) = ((problem.p + 3) / 4, (problem.q + 3) / 4)
    tiles = problem.n * down * across
    let rowBytes = Self.positions * (problem.c + channelVectors * width) * 4 * tileRows
    let room = min(traits.localMemory, 600 << 10)
    // As many as fit, but so few that every core gets work.
    let rows = min(room / rowBytes, max(1, tiles / (tileRows * traits.computeUnits)), 2)
    guard rows > 0 else { return nil }
    tilesAtOnce = rows * tileRows
  }

  /// Points of the transformed tile: 6×6.
  static let positions = 36

  var items: Int { (tiles + tilesAtOnce - 1) / tilesAtOnce }
}

extension OpenCLBackend {
  /// y (+)= x ∗ filter through the transformed domain.
  func winograd(
    _ x: Tensor, _ filter: Tensor, _ problem: ConvolutionProblem, _ plan: WinogradPlan, accumulate: Bool, into y: Tensor
  ) throws {
    let transformed = try tensor([WinogradPlan.positions, problem.c, problem.k])
    try launch(
      Specialisation(.winograd, "winograd_filter", ["VW": plan.width]), global: [problem.k / plan.width, problem.c],
      [.buffer(filter.buffer), .buffer(transformed.buffer), .int(problem.c), .int(problem.k)])
    let inputBytes = WinogradPlan.positions * plan.tilesAtOnce * problem.c * 4
    let productBytes = WinogradPlan.positions * plan.tilesAtOnce * plan.channelVectors * plan.width * 4
    try launch(
      Specialisation(
        .winograd, "winograd",
        [
          "VW": plan.width, "TB": plan.tilesAtOnce, "TR": plan.tileRows, "TC": plan.channelVectors,
          "ACCUMULATE": accumulate ? 1 : 0,
        ]),
      global: [plan.items], groupsOfOne: true,
      [
        .buffer(x.buffer), .buffer(transformed.buffer), .buffer(y.buffer), .local(inputBytes), .local(productBytes),
        .int(problem.h), .int(problem.w), .int(problem.c), .int(problem.k), .int(problem.p), .int(problem.q),
        .int(problem.padTop), .int(problem.padLeft), .int(plan.down), .int(plan.across), .int(plan.tiles),
      ])
  }

  func winogradWorkspace(_ problem: ConvolutionProblem) -> Int? {
    WinogradPlan(problem, traits).map { _ in WinogradPlan.positions * problem.c * problem.k * 4 }
  }
}
