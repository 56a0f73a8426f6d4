import Compute

/// Filter of a direct convolution in the form that `pack_filter.cl` writes.
struct PackedFilter: Hashable {
  /// Number of floats in a vector, and of output channels that lie side by side.
  let width, panel: Int
  /// Number of terms in a factor.
  let terms: Int
  /// Number of runs of terms, and of terms in each. A run begins with a factor of its own, and holds a tap's channels or those of
  /// a row of taps.
  let runs, length: Int
  /// Number of output channels.
  let k: Int

  init(_ problem: ConvolutionProblem, width: Int, panel: Int, terms: Int = 1, joinsTaps: Bool = false) {
    (self.width, self.panel, self.terms, k) = (width, panel, terms, problem.k)
    (runs, length) = joinsTaps ? (problem.r, problem.s * problem.c) : (problem.r * problem.s, problem.groupC)
  }

  /// Number of factors in all.
  var count: Int { runs * ((length + terms - 1) / terms) * k }

  /// Whether the packed filter is the filter as it is.
  var isFilter: Bool { panel == k && terms == 1 }

  /// Launch that packs the filter [R,S,C,K] of a forward pass.
  var packing: KernelLaunch { KernelLaunch(kernel("pack_filter"), global: [k / panel, runs]) }

  /// Returns the launch that packs the filter of one phase of an input gradient.
  func turning(taps: Int) -> KernelLaunch { KernelLaunch(kernel("pack_turned_filter"), global: [k / panel, taps]) }

  private func kernel(_ name: String) -> KernelSpecialization {
    KernelSpecialization("pack_filter.cl", name, ["KB": panel, "VW": width], pairs(terms))
  }
}

/// A plan whose kernels read the filter in panels.
protocol PanelPlan: ConvolutionPlan {
  var panels: PackedFilter { get }
  /// Launch that packs the filter: ``PackedFilter/packing``.
  var packing: KernelLaunch { get }
}

extension PanelPlan {
  var preparedCount: Int { panels.count }
  /// An input gradient turns and packs its filter at once.
  var turnedFilter: TurnedFilter? { .panels(panels) }

  func needsPreparation(_ form: FilterForm) -> Bool { form == .given && !panels.isFilter }

  func prepare(_ filter: Tensor, into prepared: Tensor, on backend: OpenCLBackend) throws {
    try backend.launch(
      packing, [.buffer(filter.buffer), .buffer(prepared.buffer), .int(panels.length), .int(problem.k)])
  }
}

/// Returns the constant that tells a kernel how many terms are in a factor (`factors.h`); none for one term, so that profiles
/// stay readable.
func pairs(_ terms: Int) -> KeyValuePairs<String, Int> { terms == 1 ? [:] : ["PAIRS": 1] }

/// Returns the constant with the groups of a convolution; none for one group, so that profiles stay readable.
func groups(_ count: Int) -> KeyValuePairs<String, Int> { count == 1 ? [:] : ["GROUPS": count] }
