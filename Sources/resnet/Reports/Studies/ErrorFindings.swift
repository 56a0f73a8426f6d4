import Support
import Training

/// Findings about the errors of a study's networks, in sentences. They say what was measured, whichever way it comes out.
package enum ErrorFindings {
  /// Error that is compared.
  package enum Figure: String, Sendable {
    case training = "training error"
    case test = "test error"

    func sample(_ result: StudyResult) -> Sample { self == .training ? result.training : result.test }
  }

  /// Sentences about one study of errors.
  /// - Precondition: the results are in the order of the plan, and there are at least two.
  package static func text(_ kind: StudyPlan.Kind, _ results: [StudyResult]) -> String {
    let lines =
      switch kind {
      case .degradation: degradation(results)
      case .depth: depths(results.sorted { depth($0) < depth($1) })
      case .shortcuts:
        zip(results.dropFirst(), results).filter { $0.network.model.name == $1.network.model.name }
          .map { compare($0, with: $1, .test, "its shortcuts are") } + [best(of: results)]
      case .gradients: results.map { "\($0.name): test error \(meanText($0.test)) %" }
      }
    return (lines + divergences(results)).filter { !$0.isEmpty }.joined(separator: "\n")
  }

  /// - Parameter results: results from the shallowest to the deepest network.
  private static func depths(_ results: [StudyResult]) -> [String] {
    zip(results.dropFirst(), results).map { compare($0, with: $1, .test, "more layers are") } + [best(of: results)]
  }

  // MARK: Comparisons

  /// Compares a network with a reference on one error.
  /// - Parameter subject: beginning of the verdict, for example `more layers are`.
  package static func compare(_ a: StudyResult, with b: StudyResult, _ figure: Figure, _ subject: String) -> String {
    let (first, second) = (figure.sample(a), figure.sample(b))
    guard first.count > 0, second.count > 0 else {
      return "\((first.count == 0 ? a : b).name) has no finished run, so its \(figure.rawValue) cannot be compared."
    }
    let difference = MeanDifference(first, minus: second)
    let beginning =
      "\(a.name) has a \(figure.rawValue) of \(fixed(first.mean, 2)) %, and \(b.name) one of \(fixed(second.mean, 2)) %: "
    let points = "\(fixed(abs(difference.difference), 2)) points"
    let interval = difference.margin.map {
      "95 % interval \(fixed(difference.difference - $0, 2)) to \(fixed(difference.difference + $0, 2))"
    }
    switch (difference.verdict, difference.difference) {
    case (.higher, _): return beginning + "\(subject) worse by \(points) (\(interval ?? ""))."
    case (.lower, _): return beginning + "\(subject) better by \(points) (\(interval ?? ""))."
    case (.notSeparable, _):
      return beginning + "the spread of the seeds does not separate them by \(points) (\(interval ?? ""))."
    case (.spreadUnknown, 0): return beginning + "they are equal, \(seeds(a, b, figure).amount)."
    case (.spreadUnknown, let value):
      let (amount, advice) = seeds(a, b, figure)
      return beginning + "\(subject) \(value > 0 ? "worse" : "better") by \(points) \(amount), which may be chance\(advice)."
    }
  }

  /// Returns words for the seeds of a comparison whose spread is not known, and how to know it.
  private static func seeds(_ a: StudyResult, _ b: StudyResult, _ figure: Figure) -> (amount: String, advice: String) {
    if min(figure.sample(a).count, figure.sample(b).count) > 1 { return ("with seeds that do not differ at all", "") }
    let hadMore = max(a.runs.count, b.runs.count) > 1
    return hadMore ? ("with one finished seed", "") : ("with one seed", ": --seeds 3 tells more")
  }

  private static func best(of results: [StudyResult]) -> String {
    let measured = results.filter { $0.test.count > 0 }
    guard measured.count > 1, let best = measured.min(by: { $0.test.mean < $1.test.mean }) else { return "" }
    return "The lowest test error is that of \(best.name): \(meanText(best.test)) %."
  }

  private static func divergences(_ results: [StudyResult]) -> [String] {
    results.filter { $0.divergedCount > 0 }.map { result in
      let steps = result.runs.compactMap { run -> String? in
        if case .diverged(let step)? = run.outcome { grouped(step) } else { nil }
      }
      return
        "\(result.name) diverged from \(result.divergedCount) of \(result.runs.count) seeds, in step \(steps.joined(separator: ", "))."
    }
  }

  // MARK: Degradation

  /// Compares the deepest plain network with the shallowest, and the residual ones likewise.
  /// - Precondition: the first half of the results are plain networks, the second half their residual twins.
  private static func degradation(_ results: [StudyResult]) -> [String] {
    let half = results.count / 2
    let families = [Array(results[..<half]), Array(results[half...])].map { family in
      let byDepth = family.sorted { depth($0) < depth($1) }
      return (shallow: byDepth[0], deep: byDepth[byDepth.count - 1])
    }
    let sentences = families.flatMap { shallow, deep in
      [Figure.training, .test].map { compare(deep, with: shallow, $0, "more layers are") }
    }
    // Means of the seeds that did not diverge would tell a part of the truth.
    if families.contains(where: { $0.shallow.divergedCount + $0.deep.divergedCount > 0 }) { return sentences }
    let trends = families.map { shallow, deep in trend(MeanDifference(deep.training, minus: shallow.training)) }
    return sentences + [conclusion(plain: trends[0], residual: trends[1])]
  }

  private static func depth(_ result: StudyResult) -> Int { Int(result.network.model.name.drop { !$0.isNumber }) ?? 0 }

  /// Effect of more layers on the training error.
  enum Trend { case worse, better, open, missing }

  private static func trend(_ difference: MeanDifference) -> (trend: Trend, isSure: Bool) {
    guard difference.difference.isFinite else { return (.missing, false) }
    switch difference.verdict {
    case .higher: return (.worse, true)
    case .lower: return (.better, true)
    case .notSeparable: return (.open, true)
    case .spreadUnknown: return (difference.difference > 0 ? .worse : difference.difference < 0 ? .better : .open, false)
    }
  }

  private static func conclusion(plain: (trend: Trend, isSure: Bool), residual: (trend: Trend, isSure: Bool)) -> String {
    if plain.trend == .missing || residual.trend == .missing { return "" }
    let beginning = plain.isSure && residual.isSure ? "" : "By single seeds: "
    let end =
      switch (plain.trend, residual.trend) {
      case (.worse, .open):
        "more layers make the plain network fit its own training images worse, which is not overfitting: the degradation of He "
          + "et al. 2015. Whether shortcuts cure it is not decided by these runs."
      case (.worse, .better):
        "more layers make the plain network fit its own training images worse, which is not overfitting, and the residual "
          + "network not: the degradation of He et al. 2015, and its cure."
      case (.worse, _): "more layers make both networks fit their own training images worse: shortcuts do not cure it here."
      case (.open, .worse):
        "more layers make the residual network fit its own training images worse; whether they do so to the plain one is not "
          + "decided by these runs."
      case (.better, .worse):
        "the plain network does not degrade with more layers here, and the residual one does: the reverse of He et al. 2015."
      case (.better, _): "the plain network gains from more layers here: no degradation at these depths with this recipe."
      case (.open, _): "whether the plain network degrades with more layers is not decided by these runs."
      case (.missing, _): ""
      }
    return beginning.isEmpty ? end.prefix(1).uppercased() + end.dropFirst() : beginning + end
  }
}
