import Compute

/// Work for which plans are kept: a pass of a convolution, and the exactness of its factors.
struct PlannedWork: Hashable {
  let work: ConvolutionWork
  let math: MathMode

  /// The work whose choice also serves this one.
  var withoutStatistics: PlannedWork { PlannedWork(work: work.withoutStatistics, math: math) }
}

/// Plans the convolutions of one device. It makes each plan once.
final class ConvolutionPlanner {
  /// Device, and the mathematics that it was opened for.
  let traits: DeviceTraits
  /// Number of plans made so far.
  private(set) var planCount = 0
  /// Plans by everything that they depend on besides the device. A network has a few dozen of them, and a tuner as many more as
  /// it has candidates.
  private var plans: [Key: PassPlan] = [:]

  private struct Key: Hashable {
    let work: PlannedWork
    let choice: ConvolutionChoice?
  }

  init(_ traits: DeviceTraits) { self.traits = traits }

  /// Returns the plan for a work by a choice; nil stands for the built-in choice.
  func plan(_ work: PlannedWork, _ choice: ConvolutionChoice?) -> PassPlan {
    let key = Key(work: work, choice: choice)
    if let plan = plans[key] { return plan }
    var traits = traits
    traits.math = work.math
    let plan = PassPlan(work.work, choice, traits)
    planCount += 1
    plans[key] = plan
    return plan
  }
}

extension OpenCLBackend {
  /// Number of plans of convolutions made so far.
  package var planCount: Int { planner.planCount }

  /// Returns the plan to run a work by: that of the choice for it, whose kernels work.
  /// - Parameter math: exactness of the factors; nil for that of the backend.
  /// - Throws: ``Failure`` if not even the simplest kernels work.
  func plan(for work: ConvolutionWork, _ math: MathMode? = nil) throws -> PassPlan {
    let work = PlannedWork(work: work, math: math ?? traits.math)
    if let plan = plansInUse[work] { return plan }
    let plan = try planThatWorks(work)
    plansInUse[work] = plan
    return plan
  }

  /// Returns the plan for a work by the choice for it, without building a kernel.
  func plannedPass(_ work: ConvolutionWork, _ math: MathMode? = nil) -> PassPlan {
    let work = PlannedWork(work: work, math: math ?? traits.math)
    return planner.plan(work, choice(for: work))
  }

  /// Returns the choice for a work; nil stands for the built-in choice.
  func choice(for work: PlannedWork) -> ConvolutionChoice? {
    let work = work.withoutStatistics
    if let choice = choices[work] { return choice }
    let choice = tuning[work.work, work.math]?.choice
    choices[work] = .some(choice)
    return choice
  }

  /// Sets the choice for this work; nil for the built-in one.
  package func choose(_ choice: ConvolutionChoice?, for work: ConvolutionWork) {
    choose(choice, for: PlannedWork(work: work, math: traits.math))
  }

  func choose(_ choice: ConvolutionChoice?, for work: PlannedWork) {
    choices[work.withoutStatistics] = .some(choice)
    plansInUse = plansInUse.filter { $0.key.withoutStatistics != work.withoutStatistics }
  }

  /// Returns the choices worth trying for this work, the most promising first. Each leads to a plan that differs from the
  /// built-in one and from all others. All are as exact as the device's policy demands for that pass
  /// (``DeviceTraits/winogradSide``): a plan ignores a size that would make it less exact.
  package func candidates(for work: ConvolutionWork) -> [ConvolutionChoice] {
    let work = PlannedWork(work: work, math: traits.math)
    var seen: Set = [planner.plan(work, nil).identity]
    return ConvolutionAlgorithms.candidates(for: work.work.pass, traits.kernelClass).filter { candidate in
      let plan = planner.plan(work, candidate)
      return plan.algorithms.contains { type(of: $0).name == candidate.algorithmName } && seen.insert(plan.identity).inserted
    }
  }
}
