import Compute
import Formats
import Support
import Training

/// Output of an evaluation as text, JSON and CSV.
extension Evaluation {
  /// Maximum number of classes for which the matrix is written; a larger one has too many numbers.
  private static let largestMatrix = 4096
  /// Maximum number of classes for which the matrix is printed, and for which every class is printed.
  private static let printedMatrix = 20
  private static let printedClasses = 100
  /// Number of classes that are printed if there are more: those with the lowest accuracy.
  private static let printedWorst = 20

  /// Checks that the confusion matrix can be written.
  /// - Throws: ``Failure`` if there are too many classes for a matrix, or its file cannot be written.
  static func requireWritable(classes: Int, to path: String) throws {
    guard classes <= largestMatrix else {
      throw Failure(
        .unsupported,
        "a confusion matrix of \(grouped(classes)) classes is too large, of \(grouped(largestMatrix)) it is not")
    }
    try AtomicFile.requireWritable(path)
  }

  /// Line with the metrics, a table of the classes, and the matrix if it is small.
  var text: String {
    var parts = [
      "\(metrics.images) images: loss \(lossText(metrics.loss)), top-1 \(fixed(metrics.top1 * 100, 2)) %, "
        + "top-5 \(fixed(metrics.top5 * 100, 2)) %\n"
        + "balanced accuracy \(Self.percent(averages.balancedAccuracy)), macro F1 \(Self.percent(averages.macro.f1)), "
        + "weighted F1 \(Self.percent(averages.weighted.f1))",
      classTable,
    ]
    if classes.count <= Self.printedMatrix { parts.append("taken for (columns), by what they are (rows):\n" + matrixTable) }
    if !notes.isEmpty { parts.append(notes.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n")
  }

  private static func percent(_ share: Double) -> String { fixed(share * 100, 2) + " %" }

  private var classTable: String {
    let all = perClass
    var shown = all
    var title = ""
    if all.count > Self.printedClasses {
      // The order is stable: of equally accurate classes the first one comes first.
      shown = all.filter { $0.images > 0 }.enumerated()
        .sorted { ($0.element.accuracy ?? 1, $0.offset) < ($1.element.accuracy ?? 1, $1.offset) }
        .prefix(Self.printedWorst).map(\.element)
      title = "of \(grouped(all.count)) classes those with the lowest recall; --json has all:\n"
    }
    var table = Table(["class", "images", "precision", "recall", "F1", "most often taken for"], lastIsText: true)
    func scores(_ scores: ClassScores) -> [String] { [scores.precision, scores.recall, scores.f1].map(Self.percent) }
    for record in shown {
      table.add(
        [
          printable(record.name), String(record.images),
        ] + (record.images + record.taken > 0 ? scores(record.scores) : ["–", "–", "–"])
          + [record.confusion.map { "\(printable($0.name)) (\($0.images))" } ?? ""])
    }
    for (name, mean) in [("macro average", averages.macro), ("weighted average", averages.weighted)] {
      table.add([name, String(mean.support)] + scores(mean) + [""])
    }
    return title + table.text
  }

  private var matrixTable: String {
    let names = classes.map(printable)
    var table = Table([""] + names)
    for (label, name) in names.enumerated() {
      table.add([name] + classes.indices.map { String(self[label, $0]) })
    }
    return table.text
  }

  /// Notes about scores that count as 0 because they are not defined, a line each.
  var notes: [String] {
    [
      ("precision", "no image was taken for", neverPredicted), ("recall", "there are no images of", predictedWithoutImages),
    ].filter { !$0.2.isEmpty }.map { score, reason, names in
      "the \(score) of \(listed(names)) counts as 0: \(reason) \(names.count == 1 ? "it" : "them")"
    }
  }

  /// Returns the evaluation as JSON. `confusion` has a row for each class, and is null if there are too many classes; `per_class`
  /// is in the order of the labels.
  /// - Parameters:
  ///   - damaged: number of images that were left out.
  ///   - namesWorst: whether `worst` holds the worst mistakes; it is null otherwise.
  func json(damaged: Int, namesWorst: Bool = false) -> JSON {
    let matrix = classes.indices.lazy.map { label in
      JSON.array(classes.indices.map { .integer(self[label, $0]) })
    }
    return .members([
      "images": .integer(metrics.images), "damaged": .integer(damaged), "loss": .number(metrics.loss),
      "top1": .number(metrics.top1),
      "top5": .number(metrics.top5), "balanced_accuracy": .number(averages.balancedAccuracy),
      "macro_avg": Self.json(averages.macro), "weighted_avg": Self.json(averages.weighted),
      "notes": .array(notes.map(JSON.string)),
      "per_class": .array(
        perClass.map {
          .members([
            "class": .string($0.name), "images": .integer($0.images), "right": .integer($0.right),
            "accuracy": $0.accuracy.map(JSON.number) ?? .null, "precision": .number($0.scores.precision),
            "recall": .number($0.scores.recall), "f1": .number($0.scores.f1), "support": .integer($0.images),
            "most_confused_with": $0.confusion.map { .members(["class": .string($0.name), "images": .integer($0.images)]) }
              ?? .null,
          ])
        }),
      "confusion": classes.count <= Self.largestMatrix ? .array(Array(matrix)) : .null,
      "worst": namesWorst ? .array(worst.map(describe)) : .null,
    ])
  }

  private static func json(_ scores: ClassScores) -> JSON {
    .members([
      "precision": .number(scores.precision), "recall": .number(scores.recall), "f1": .number(scores.f1),
      "support": .integer(scores.support),
    ])
  }

  /// Writes the confusion matrix as CSV (RFC 4180), with the class names in the first row and column.
  /// - Throws: ``Failure`` if the file cannot be written.
  func writeConfusion(to path: String) throws {
    var text = CSV.row(["class"] + classes)
    for (label, name) in classes.enumerated() { text += CSV.row([name] + classes.indices.map { String(self[label, $0]) }) }
    try AtomicFile.write(text, to: path)
  }
}
