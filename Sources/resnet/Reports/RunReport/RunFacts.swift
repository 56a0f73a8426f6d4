import Support
import Training

/// The main figures of runs.
struct RunFacts {
  private let run: ReportedRun

  init(_ run: ReportedRun) { self.run = run }

  /// Figures of one run, each with its name.
  var cards: HTML {
    .element(
      "dl", ["class": "cards"],
      facts.map { name, value, remark in
        let remark = remark.isEmpty ? [] : [HTML.element("dd", ["class": "quiet"], remark)]
        return .element("div", [:], [.element("dt", [:], name), .element("dd", ["class": "value"], value)] + remark)
      })
  }

  private var facts: [(name: String, value: String, remark: String)] {
    let (figures, configuration) = (run.run.figures, run.run.configuration)
    var facts: [(String, String, String)] = []
    if let best = figures.best {
      facts.append(("validation accuracy", percentText(best.validationAccuracy, 2), "best, in epoch \(grouped(best.epoch))"))
      facts.append(("validation loss", lossText(best.validationLoss), "in epoch \(grouped(best.epoch))"))
    }
    facts.append(("epochs", "\(grouped(figures.epochs)) of \(grouped(configuration.epochs))", ending))
    if let seconds = run.run.elapsed { facts.append(("trained for", clock(seconds), run.run.when)) }
    if let last = figures.last { facts.append(("speed", rateText(last.imagesPerSecond), "images a second")) }
    if let summary = run.summary {
      facts.append(("parameters", grouped(summary.parameters), configuration.model.name))
    }
    return facts
  }

  /// Remark on an end before the last epoch, as far as the files tell.
  private var ending: String {
    let configuration = run.run.configuration
    if run.run.figures.epochs >= configuration.epochs { return "finished" }
    if let steps = configuration.maxSteps, run.run.figures.last?.step ?? 0 >= steps { return "up to \(grouped(steps)) steps" }
    return configuration.patience == nil ? "not finished" : "ended or interrupted"
  }

  /// Figures of several runs, a row for each.
  static func table(_ runs: [ReportedRun]) -> HTML {
    .table(
      ["run", "model", "data", "epochs", "best accuracy", "in epoch", "loss", "trained for"],
      runs.map { run in
        let (figures, best) = (run.run.figures, run.run.figures.best)
        return [
          run.name, run.run.configuration.model.name, run.run.configuration.data.name,
          "\(figures.epochs)/\(run.run.configuration.epochs)", best.map { percentText($0.validationAccuracy, 2) } ?? "–",
          best.map { grouped($0.epoch) } ?? "–", best.map { lossText($0.validationLoss) } ?? "–",
          run.run.elapsed.map(clock) ?? "–",
        ]
      })
  }
}
