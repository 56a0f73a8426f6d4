import CPUBackend
import Datasets
import Foundation
import Models
import Support
import TestSupport
import Testing
import Training

/// Tests which epoch counts as the best one, and the end of a run that does not improve.
@Suite struct PatienceTests {
  private let splits = SyntheticImages(seed: 3, count: 48, validationCount: 24, classes: 3, size: 8).splits()
  private let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  private func configuration(_ watch: RunConfiguration.WatchedFigure?, patience: Int?) -> RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 3), dataset: "synthetic")
    (run.epochs, run.batchSize, run.seed, run.watch, run.patience) = (9, 16, 7, watch, patience)
    return run
  }

  private func trainer(_ name: String, _ run: RunConfiguration, resuming: Bool = false) throws -> Trainer {
    let path = "\(temporary.path)/\(name)"
    return try Trainer(
      run, splits, on: CPUBackend(), folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path),
      resuming: resuming)
  }

  private func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  /// Follows the records of the epochs, and expects the run to end where the rule says, with the weights of the best epoch.
  @Test(arguments: [RunConfiguration.WatchedFigure.loss, .accuracy, nil], [1, 2])
  func runsEndAfterTheirPatience(_ watch: RunConfiguration.WatchedFigure?, patience: Int) throws {
    let trainer = try trainer("run", configuration(watch, patience: patience))
    let folder = try #require(trainer.folder)
    var (best, bestEpoch, epochs) = (-Double.infinity, 0, 0)
    var (bestWeights, bestLoss) = (Data(), Double.infinity)
    func follow(_ event: TrainingEvent) {
      guard case .epoch(let record) = event else { return }
      #expect(epochs - bestEpoch < patience, "the run goes on after \(epochs) epochs, of which \(bestEpoch) is the best")
      epochs = record.epoch
      let figure = watch == .loss ? -record.validationLoss : record.validationAccuracy
      // Of equal accuracies the lower loss has the best weights, and patience does not count it as an improvement.
      let isTie = figure == best && record.validationLoss < bestLoss
      if figure > best { (best, bestEpoch) = (figure, epochs) }
      if bestEpoch == epochs || isTie {
        bestLoss = record.validationLoss
        bestWeights = (try? self.contents(folder.lastPath)) ?? Data()
      }
    }
    let ending = try trainer.run(report: follow)
    #expect(ending == .finished && trainer.endedEarly && trainer.isFinished)
    #expect(epochs == bestEpoch + patience && epochs < 9)
    #expect(try !bestWeights.isEmpty && contents(folder.bestPath) == bestWeights)
  }

  @Test func withoutPatienceAllEpochsAreTrained() throws {
    let trainer = try trainer("run", configuration(nil, patience: nil))
    #expect(try trainer.run() == .finished)
    #expect(trainer.epochsDone == 9 && !trainer.endedEarly)
  }

  /// Stops the run in each of its epochs. The epochs without improvement before a stop count.
  @Test(arguments: [RunConfiguration.WatchedFigure.loss, .accuracy])
  func patienceIsResumed(_ watch: RunConfiguration.WatchedFigure) throws {
    let run = configuration(watch, patience: 2)
    let whole = try trainer("whole", run)
    _ = try whole.run()
    var stops = 0
    while true {
      let cut = try trainer("cut", run, resuming: stops > 0)
      if cut.isFinished { break }
      let target = cut.step + 2
      _ = try cut.run(shouldStop: { cut.step >= target })
      stops += 1
    }
    #expect(stops > whole.epochsDone)
    for file in [\RunFolder.lastPath, \.bestPath, \.statePath] {
      let paths = ["whole", "cut"].map { RunFolder(existing: "\(temporary.path)/\($0)")[keyPath: file] }
      #expect(try contents(paths[0]) == contents(paths[1]), "\(paths)")
    }
  }

  @Test func impossiblePatienceIsRefused() throws {
    let failure = try #require(#expect(throws: Failure.self) { try configuration(nil, patience: 0).validate() })
    #expect(failure.description == "patience 0: at least one epoch is needed")
  }
}
