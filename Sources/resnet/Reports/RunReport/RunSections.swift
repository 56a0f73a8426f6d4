import Foundation
import Models
import Support
import Training

/// The parts of a report that are about one run.
struct RunSections {
  let run: ReportedRun
  /// End of the names of the figures' files, which tells runs apart.
  let suffix: String

  /// Number of pairs of classes that are listed, and most classes whose scores are listed.
  private static let (pairs, classes) = (10, 100)

  /// The pictures that are files of their own.
  var figures: [ReportFigure] { gradients + (confusion.map { [$0] } ?? []) }

  private var gradients: [ReportFigure] { GradientFigures(layers: run.layers, suffix: suffix).figures }

  private var confusion: ReportFigure? {
    run.validation.flatMap { ConfusionFigure(evaluation: $0.evaluation, suffix: suffix).figure }
  }

  /// The parts that have something to show, in their order.
  var sections: [ReportSection] {
    [gradientSection, confusionSection, mistakes, augmentation, settings, model, environment, notes].compactMap { $0 }
  }

  private var gradientSection: ReportSection? {
    gradients.isEmpty ? nil : ReportSection("Gradients", [.grid(gradients)])
  }

  // MARK: Validation

  private var confusionSection: ReportSection? {
    guard let validation = run.validation else { return nil }
    let metrics = validation.evaluation.metrics
    let intro =
      "The best weights, those of epoch \(grouped(validation.epoch)), on \(grouped(metrics.images)) validation images: "
      + "\(percentText(metrics.top1, 2)) are classified rightly, and of \(percentText(metrics.top5, 2)) the class is among the "
      + "first five."
    let tables = HTML.element("div", ["class": "columns"], [pairs(validation.evaluation), scores(validation.evaluation)])
    // Many classes have no figure.
    let figure = confusion.map { [HTML.figure($0)] } ?? []
    return ReportSection("Confusions", [.element("p", ["class": "quiet"], intro)] + figure + [tables])
  }

  private func pairs(_ evaluation: Evaluation) -> HTML {
    let pairs = evaluation.confusedPairs.prefix(Self.pairs)
    let images = evaluation.perClass.map(\.images)
    let rows = pairs.map { pair in
      [
        evaluation.classes[pair.label], evaluation.classes[pair.prediction], grouped(pair.images),
        percentText(Double(pair.images) / Double(max(1, images[pair.label]))),
      ]
    }
    return .element(
      "div", [:],
      [
        .element("h4", [:], "Most confused classes"),
        rows.isEmpty
          ? .element("p", [:], "No image was taken for another class.")
          : .table(["class", "taken for", "images", "of the class"], rows, textColumns: 2),
      ])
  }

  private func scores(_ evaluation: Evaluation) -> HTML {
    let records = evaluation.perClass.filter { $0.images > 0 || $0.taken > 0 }
    let shown = records.sorted { $0.scores.f1 < $1.scores.f1 }.prefix(Self.classes)
    let title = shown.count < records.count ? "The \(shown.count) classes with the lowest scores" : "Scores of each class"
    return .element(
      "div", [:],
      [
        .element("h4", [:], title),
        .table(
          ["class", "images", "precision", "recall", "F1"],
          shown.map { record in
            let scores = record.scores
            return [
              record.name, grouped(record.images), percentText(scores.precision), percentText(scores.recall),
              percentText(scores.f1),
            ]
          }, textColumns: 1),
      ])
  }

  private var mistakes: ReportSection? {
    guard let evaluation = run.validation?.evaluation, !evaluation.worst.isEmpty else { return nil }
    let intro =
      "The images that were taken for another class with the highest probability, as the network sees them. Below each: its "
      + "class, what it was taken for, and the probabilities that the network gives these two."
    let items = evaluation.worst.enumerated().map { index, mistake in
      MistakePicture(
        mistake: mistake, classes: evaluation.classes, picture: index < run.mistakes.count ? run.mistakes[index] : nil
      ).html
    }
    return ReportSection(
      "Worst mistakes", [.element("p", ["class": "quiet"], intro), .element("ol", ["class": "gallery"], items)])
  }

  // MARK: Training

  private var augmentation: ReportSection? {
    guard let augmented = run.augmented, let png = try? augmented.image.png() else { return nil }
    let (intro, name) =
      augmented.epochs > 0
      ? (
        "Each row is one training image: first as it is, then as in each of the first \(augmented.epochs) epochs.",
        "training images in the first epochs"
      ) : ("Training images. The run does not augment them.", "training images")
    let picture = HTML.picture(png, name: name, width: augmented.image.width, height: augmented.image.height)
    return ReportSection(
      "Training images",
      [.element("p", ["class": "quiet"], intro), .element("div", ["class": "sheet"], [picture])])
  }

  private var settings: ReportSection? {
    guard let settings = try? run.run.settings else { return nil }
    // Fingerprints of the images tell a reader nothing.
    let shown = settings.filter { ![.null, .array([])].contains($0.value) && !$0.name.hasPrefix("checksum of ") }
    return ReportSection("Settings", [.facts(shown.map { ($0.name, ReadRun.text($0.value)) })])
  }

  private var model: ReportSection? {
    guard let summary = run.summary else { return nil }
    let batch = max(1, summary.images[0])
    let size = summary.images.dimensions.dropFirst().map(String.init).joined(separator: "×")
    let intro =
      "\(run.run.configuration.model.name): \(grouped(summary.parameters)) parameters, \(grouped(summary.macs / batch)) "
      + "multiply-accumulates (MACs) for an image of \(size)."
    let rows = summary.layers.map { layer in
      [
        layer.name, layer.output.dimensions.dropFirst().map(String.init).joined(separator: "×"), grouped(layer.parameters),
        grouped(layer.macs / batch),
      ]
    }
    return ReportSection(
      "Model",
      [
        .element("p", ["class": "quiet"], intro),
        .element(
          "div", ["class": "tall", "tabindex": "0"],
          [.table(["layer", "output", "parameters", "MACs"], rows, textColumns: 1)]),
      ])
  }

  private var environment: ReportSection? {
    if run.run.sessions.isEmpty { return nil }
    let formatter = ISO8601DateFormatter()
    let sessions = run.run.sessions.map { session in
      HTML.facts([
        ("started", formatter.string(from: session.started)),
        ("trained for", session.elapsedSeconds.map(clock) ?? "not known, the program was killed or still trains"),
        ("device", session.device), ("driver", session.driver ?? "–"), ("host", session.host), ("resnet", session.version),
        ("command", session.command.map(shellQuoted).joined(separator: " ")),
      ])
    }
    return ReportSection("Environment", sessions)
  }

  private var notes: ReportSection? {
    if run.notes.isEmpty { return nil }
    return ReportSection("Not shown", [.element("ul", [:], run.notes.map { .element("li", [:], $0) })])
  }
}

extension HTML {
  /// Names with their values, in as many columns as there is room for.
  static func facts(_ facts: [(name: String, value: String)]) -> HTML {
    element(
      "dl", ["class": "facts"],
      facts.map { element("div", [:], [element("dt", [:], $0.name), element("dd", [:], $0.value)]) })
  }
}
