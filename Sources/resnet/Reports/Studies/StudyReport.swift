import Support
import Training

/// Report of a study: a table, sentences and figures, as text, JSON and files.
struct StudyReport {
  private let folder: StudyFolder
  private let results: [StudyResult]
  private let gradients: GradientFindings?
  private var plan: StudyPlan { folder.plan }

  /// Reads the runs of a study, as far as they went.
  /// - Throws: ``Failure`` if a file cannot be read.
  init(_ folder: StudyFolder) throws {
    self.folder = folder
    results = try StudyResult.all(folder)
    gradients = folder.plan.kind == .gradients ? GradientFindings(results) : nil
  }

  /// The table and the sentences.
  var text: String {
    [table, gradients?.table, findings].compactMap { $0 }.joined(separator: "\n\n")
  }

  private var findings: String {
    [gradients?.text, ErrorFindings.text(plan.kind, results)].compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "\n")
  }

  private var table: String {
    var table = Table(["network", "seeds", "training error %", "test error %", "diverged"])
    for result in results {
      table.add([
        result.name, "\(result.runs.count(where: \.isFinished))/\(result.runs.count)", meanText(result.training),
        meanText(result.test), "\(result.divergedCount)",
      ])
    }
    return table.text
  }

  /// Rows of a CSV file: one for each run.
  private var csv: String {
    let header = ["network", "seed", "outcome", "epochs", "steps", "training_error", "test_error", "training_loss", "test_loss"]
    return CSV.row(header)
      + results.flatMap { result in
        result.runs.map { run in
          let last = run.epochs.last
          let outcome = run.isFinished ? "finished" : run.hasDiverged ? "diverged" : "not finished"
          return CSV.row(
            [result.name, "\(run.seed)", outcome, "\(last?.epoch ?? 0)", "\(last?.step ?? 0)"]
              + [last.map { 1 - $0.accuracy }, last.map { 1 - $0.validationAccuracy }, last?.loss, last?.validationLoss].map {
                $0.flatMap { $0.isFinite ? "\($0)" : nil } ?? ""
              })
        }
      }.joined()
  }

  /// - Parameter files: paths of the files that were written.
  func json(files: [String]) -> JSON {
    func values(_ sample: Sample) -> JSON { .array(sample.values.map { .number($0 / 100) }) }
    return .members([
      "study": .string(plan.kind.rawValue), "folder": .string(folder.path), "epochs": .integer(plan.recipe.epochs),
      "seeds": .array(plan.seeds.map { .integer(Int(clamping: $0)) }),
      "networks": .array(
        results.map { result in
          .members([
            "name": .string(result.name), "training_errors": values(result.training), "test_errors": values(result.test),
            "diverged": .integer(result.divergedCount),
          ])
        }),
      "findings": .array(findings.split(separator: "\n").map { .string(String($0)) }),
      "files": .array(files.map(JSON.string)),
    ])
  }

  /// Writes tables, sentences and figures to the folder of the study.
  /// - Returns: paths of the files, and notes about files that are missing.
  /// - Throws: ``Failure`` if a file cannot be written.
  func write() throws -> (files: [String], notes: [String]) {
    var (files, notes): ([String], [String]) = ([], [])
    func write(_ name: String, _ text: String) throws {
      let path = "\(folder.path)/\(name)"
      try AtomicFile.write(text, to: path)
      files.append(path)
    }
    try write("table.csv", csv)
    if let gradients { try write("layers.csv", gradients.csv) }
    try write("findings.txt", "\(text)\n")
    for (name, figure) in (gradients?.figures ?? []) + ErrorFigures.all(plan.kind, results) {
      let written = try ChartFiles.write(figure, to: "\(folder.path)/\(name)")
      files += written.files
      if notes.isEmpty, let note = written.note { notes.append(note) }
    }
    return (files, notes)
  }
}
