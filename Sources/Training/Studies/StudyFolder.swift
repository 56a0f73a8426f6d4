import Formats
import Foundation
import Support

/// Folder of a study: its file `study.json`, and a folder for each of its runs.
package struct StudyFolder {
  /// End of a run.
  package enum Outcome: Hashable, Codable, Sendable {
    case finished
    /// The loss became NaN or infinite in this step.
    case diverged(step: Int)
  }

  /// Contents of `study.json`.
  private struct Record: Codable {
    /// Number of the form of this file.
    var version = 1
    var plan: StudyPlan
    /// Ends of the runs that have ended, by their names.
    var outcomes: [String: Outcome] = [:]
  }

  package let path: String
  /// Whether the study was there before.
  package let isResumed: Bool
  private var record: Record
  private let lock: Folder.Lock

  /// Plan of the study, which is the one that was kept if there is one.
  package var plan: StudyPlan { record.plan }
  private var filePath: String { "\(path)/study.json" }

  /// Opens the folder of a study, or makes it. Nothing is written before ``begin(epochs:warmup:)``.
  /// - Throws: ``Failure`` if the folder holds another study, is in use or cannot be made.
  package init(_ path: String, for plan: StudyPlan) throws {
    self.path = path
    try Folder.make(path)
    guard let lock = try Folder.Lock(path) else {
      throw Failure(
        .busy, "another process is at the study in \(path)", remedy: "wait for its end, or choose another \(Setting.output)")
    }
    self.lock = lock
    isResumed = InputFile.exists("\(path)/study.json")
    record = Record(plan: plan)
    guard isResumed else {
      if try Folder.entries(path).isEmpty { return }
      throw Failure(
        .invalidSetting, about: path, "the folder holds other things than a study",
        remedy: "choose another \(Setting.output), an empty folder or a new one")
    }
    record = try Self.read(filePath)
    if let known = record.plan.recipe.data.contents {
      try plan.recipe.data.contents?.require(known, in: plan.recipe.data.path ?? plan.recipe.data.name)
    }
    let differences = try plan.differences(from: record.plan)
    if !differences.isEmpty {
      throw Failure(
        .invalidSetting, "\(path) holds a study with other settings: \(listed(differences))",
        remedy: "give the same ones to go on with it, or choose another \(Setting.output)")
    }
  }

  private static func read(_ path: String) throws -> Record {
    let record: Record?
    do { record = try JSONDecoder().decode(Record.self, from: Data(try InputFile(path).read())) } catch is DecodingError {
      record = nil
    }
    guard let record, record.version == Record(plan: record.plan).version else {
      throw Failure(
        .damagedFile, about: path, "it is damaged, or another version of this program wrote it",
        remedy: "choose another \(Setting.output)")
    }
    return record
  }

  /// Fixes the number of epochs, and writes the plan.
  /// - Throws: ``Failure`` if the file cannot be written.
  package mutating func begin(epochs: Int, warmup: Double) throws {
    (record.plan.recipe.epochs, record.plan.recipe.warmupEpochs) = (epochs, warmup)
    try write()
  }

  /// Keeps the end of a run.
  /// - Throws: ``Failure`` if the file cannot be written.
  package mutating func record(_ outcome: Outcome, of run: StudyPlan.Run) throws {
    record.outcomes[run.name] = outcome
    try write()
  }

  private func write() throws { try AtomicFile.write(try record.jsonText(indented: true) + "\n", to: filePath) }

  /// Returns the end of a run; nil if it has not ended.
  package func outcome(of run: StudyPlan.Run) -> Outcome? { record.outcomes[run.name] }

  /// Returns the folder of a run, which may not be there yet.
  package func folder(of run: StudyPlan.Run) -> RunFolder { RunFolder(existing: "\(path)/\(run.name)") }
}
