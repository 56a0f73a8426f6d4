import CKernelParameters
import Compute

/// Form in which an input gradient writes its filter: turned by 180°, with input and output channels exchanged.
enum TurnedFilter: Hashable {
  /// [R,S,K,C], in a launch whose work-groups transpose blocks of channels. For GPUs.
  case blocks(count: Int)
  case panels(PackedFilter)

  /// Number of elements.
  var count: Int {
    switch self {
    case .blocks(let count): count
    case .panels(let filter): filter.count
    }
  }
}

/// An input gradient as convolutions of dy, one for each phase that has taps and pixels.
struct InputGradientPlan {
  private let geometry: Conv2D
  /// Phases in the order in which they run. The one that borrows most comes first: the memory that it gives back is enough for
  /// the others.
  private let phases: [InputGradientPhase]
  /// Number of elements of the turned filters of all phases, which lie one after the other.
  private let turnedCount: Int
  /// Bytes of the workspaces: the turned filters, and those of the largest phase, because one phase runs after the other.
  let workspaces: [Int]

  /// - Parameter geometry: the convolution, flattened.
  init(_ geometry: Conv2D, _ work: ConvolutionWork, _ choice: ConvolutionChoice?, _ traits: DeviceTraits) {
    let (g, axis) = (geometry, PhaseAxis.self)
    let rowPhases = axis.all(size: g.h, window: g.r, stride: g.stride, padding: g.padding)
    let columnPhases = axis.all(size: g.w, window: g.s, stride: g.stride, padding: g.padding)
    var (phases, count) = ([InputGradientPhase](), 0)
    for rows in rowPhases where rows.isUsed {
      for columns in columnPhases where columns.isUsed {
        let problem = ConvolutionProblem(inputGradient: g, rows: rows, columns: columns, wStart: count)
        let plan = ConvolutionAlgorithms.plan(ConvolutionTask(problem, work, traits), choice)
        phases.append(InputGradientPhase(g, rows: rows, columns: columns, plan, traits))
        count += plan.turnedFilter?.count ?? 0
      }
    }
    let largest = phases.max { $0.borrowed < $1.borrowed }
    workspaces = (count == 0 ? [] : [count * 4]) + (largest?.workspaces ?? [])
    (self.geometry, turnedCount) = (geometry, count)
    self.phases = phases.sorted { $0.borrowed > $1.borrowed }
  }

  /// Plans of the phases.
  var plans: [any ConvolutionPlan] { phases.map(\.plan) }

  /// Number of pixels that a tap meets. Pixels between the taps of a small filter with a large stride get no gradient.
  private var reached: Int { phases.reduce(0) { $0 + $1.pixels } }

  func enqueue(_ dy: Tensor, _ filter: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend) throws {
    if !epilogue.accumulate && reached < geometry.h * geometry.w { try backend.fill(epilogue.y, with: 0) }
    let turned = turnedCount == 0 ? filter : try backend.tensor([turnedCount])
    for phase in phases { try phase.enqueue(dy, filter, turned, epilogue, on: backend) }
  }
}

/// One phase of an input gradient: its taps and pixels, and the convolution that computes it.
struct InputGradientPhase {
  let plan: any ConvolutionPlan
  private let rows, columns: PhaseAxis
  private let geometry: Conv2D
  /// Launch that turns the filter; nil if the plan reads it as it was given.
  private let turning: KernelLaunch?
  /// Bytes of the workspaces besides the turned filter.
  let workspaces: [Int]

  init(_ g: Conv2D, rows: PhaseAxis, columns: PhaseAxis, _ plan: any ConvolutionPlan, _ traits: DeviceTraits) {
    (geometry, self.rows, self.columns, self.plan) = (g, rows, columns, plan)
    workspaces = plan.workspaces(for: plan.turnedFilter == nil ? .given : .turned)
    let taps = rows.taps * columns.taps
    turning =
      switch plan.turnedFilter {
      case nil: nil
      case .panels(let filter): filter.turning(taps: taps)
      case .blocks: Self.turningInBlocks(g, taps: taps, traits)
      }
  }

  private static func turningInBlocks(_ g: Conv2D, taps: Int, _ traits: DeviceTraits) -> KernelLaunch {
    let side = traits.largestGroup >= 256 ? 16 : 8
    return KernelLaunch(
      KernelSpecialization("pack_filter.cl", "turn_filter", ["SIDE": side], groups(g.groups)),
      global: [g.groupC, g.groupK].map { $0.rounded(upTo: side) } + [taps * g.groups], local: [side, side, 1])
  }

  var borrowed: Int { workspaces.reduce(0, +) }
  var pixels: Int { rows.outputs * columns.outputs }

  /// - Parameters:
  ///   - filter: [R,S,C,K], as it was given.
  ///   - turned: memory for the turned filters of all phases.
  func enqueue(
    _ dy: Tensor, _ filter: Tensor, _ turned: Tensor, _ epilogue: Epilogue, on backend: OpenCLBackend
  ) throws {
    guard let turning else { return try plan.enqueue(dy, filter, .given, epilogue, on: backend) }
    try backend.launch(turning, [.buffer(filter.buffer), .buffer(turned.buffer), .structure(try turnedFilter)])
    try plan.enqueue(dy, turned, .turned, epilogue, on: backend)
  }

  /// The turned filter as the kernels that write it take it.
  private var turnedFilter: turned_filter_t {
    get throws {
      let g = geometry
      return try turned_filter_t(
        s: int32(g.s), c: int32(g.groupC), k: int32(g.k), depth: int32(g.groupK), columns: int32(columns.taps),
        firstRow: int32(rows.firstTap), firstColumn: int32(columns.firstTap), stride: int32(g.stride),
        start: int32(plan.problem.wStart))
    }
  }
}
