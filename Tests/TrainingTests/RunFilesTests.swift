import Foundation
import Support
import TestSupport
import Testing
import Training

/// Tests the reading of files in the folder of a run.
@Suite struct RunFilesTests {
  private let temporary: TemporaryFolder
  private var folder: String { temporary.path }

  init() throws { temporary = try TemporaryFolder() }

  private func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
  }

  private func record(classes: String = "[\"a\",\"b\"]", confusions: String = "[[0,0,3],[1,0,2]]", label: Int = 1) -> String {
    """
    {"epoch":2,"classes":\(classes),"confusions":\(confusions),"metrics":{"images":5,"loss":1,"top1":0.6,"top5":1},
    "worst":[{"sample":4,"path":"","label":\(label),"prediction":0,"probability":0.9,"labelProbability":0.1}]}
    """
  }

  @Test func aValidationIsReadAndChecked() throws {
    let run = RunFolder(existing: folder)
    #expect(try run.validation() == nil)
    try write("validation.json", record())
    let read = try #require(try run.validation())
    #expect(read.epoch == 2 && read.evaluation[1, 0] == 2 && read.evaluation[1, 1] == 0 && read.evaluation.metrics.top1 == 0.6)
    #expect(read.evaluation.confusedPairs.map(\.images) == [2] && read.evaluation.worst.map(\.sample) == [4])
    for damaged in [
      "", "{}", "[]", record(classes: "[\"a\"]"), record(confusions: "[[0,0]]"), record(confusions: "[[0,2,1]]"),
      record(confusions: "[[-1,0,1]]"), record(confusions: "[[0,0,-1]]"), record(label: 2),
    ] {
      try write("validation.json", damaged)
      let failure = #expect(throws: Failure.self, "\(damaged)") { try run.validation() }
      #expect(failure?.kind == .damagedFile && failure?.subject == "\(folder)/validation.json")
    }
  }

  /// Of many steps, evenly spaced ones are taken, and the last one. A line that was cut off does not count.
  @Test func recordsAreThinnedOut() throws {
    let run = RunFolder(existing: folder)
    #expect(try run.records().steps.isEmpty && run.records().epochs.isEmpty)
    let steps = (1...10).map {
      "{\"kind\":\"step\",\"epoch\":1,\"step\":\($0),\"loss\":0.5,\"accuracy\":0.5,\"learning_rate\":0.1,\"images_per_second\":9}"
    }
    let epoch =
      "{\"kind\":\"epoch\",\"epoch\":1,\"step\":10,\"loss\":0.5,\"accuracy\":0.5,\"learning_rate\":0.1,\"images_per_second\":9,"
      + "\"waiting\":0,\"validation_loss\":0.25,\"validation_accuracy\":0.75}"
    try write("metrics.jsonl", (steps + [epoch, "{\"kind\":\"step\",\"epo"]).joined(separator: "\n"))
    #expect(try run.records().steps.map(\.step) == Array(1...10))
    #expect(try run.records().epochs.map(\.validationAccuracy) == [0.75])
    #expect(try run.records(steps: 3).steps.map(\.step) == [4, 8, 10])
    #expect(try run.records(steps: 0).steps.isEmpty && run.records(steps: 0).epochs.count == 1)
    #expect(try run.figures().best?.validationLoss == 0.25 && run.figures().epochs == 1)
  }

  /// An epoch whose validation loss was not finite is read, and is not the best one, however accurate it is.
  @Test func epochsWithoutALossAreNoBestOnes() throws {
    let run = RunFolder(existing: folder)
    func line(_ epoch: Int, _ loss: String, _ accuracy: Double) -> String {
      "{\"kind\":\"epoch\",\"epoch\":\(epoch),\"step\":\(epoch),\"loss\":0.5,\"accuracy\":0.5,\"learning_rate\":0.1,"
        + "\"images_per_second\":9,\"waiting\":0,\"validation_loss\":\(loss),\"validation_accuracy\":\(accuracy)}"
    }
    try write("metrics.jsonl", [line(1, "null", 0.9), line(2, "0.5", 0.7), line(3, "null", 0.8)].joined(separator: "\n"))
    let epochs = try run.records().epochs
    #expect(epochs.map(\.epoch) == [1, 2, 3] && epochs.map(\.validationLoss.isNaN) == [true, false, true])
    for watch in [RunConfiguration.WatchedFigure.accuracy, .loss] {
      let figures = try run.figures(watching: watch)
      #expect(figures.best?.epoch == 2 && figures.epochs == 3 && figures.last?.validationAccuracy == 0.8)
    }
    let kept = try JSONDecoder().decode(EpochRecord.self, from: JSONEncoder().encode(epochs[0]))
    #expect(kept.validationLoss.isNaN && kept.validationAccuracy == 0.9 && kept.step == 1)
    #expect(try JSONDecoder().decode(EpochRecord.self, from: JSONEncoder().encode(epochs[1])) == epochs[1])
  }
}
