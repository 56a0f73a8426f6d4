import CPUBackend
import Compute
import Datasets
import Foundation
import Images
import Models
import Support
import TestSupport
import Testing
import Training

/// Checks what becomes of a run whose validation loss is not finite.
@Suite struct ValidationLossTests {
  private let temporary: TemporaryFolder

  init() throws { temporary = try TemporaryFolder() }

  /// Returns float images of 3 classes.
  /// - Parameter isWhole: whether all pixels are numbers.
  private func images(_ count: Int, isWhole: Bool = true) -> Dataset {
    var random = Philox(seed: 5, stream: 0)
    var values = (0..<count * 64).map { _ in random.uniform() * 2 - 1 }
    if !isWhole { values[9] = .nan }
    return Dataset(
      name: "tensors", images: HostTensor(values, shape: [count, 8, 8, 1]),
      labels: HostTensor((0..<count).map { Int32($0 % 3) }, shape: [count]), classes: ["a", "b", "c"],
      normalization: Normalization(mean: [0], deviation: [1]))
  }

  private func configuration(_ change: (inout RunConfiguration) -> Void = { _ in }) -> RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 1), dataset: "tensors")
    (run.epochs, run.batchSize, run.seed, run.warmupEpochs, run.schedule) = (2, 4, 7, 0, .constant)
    change(&run)
    return run
  }

  /// Makes a run, or goes on with it. An epoch has two steps.
  private func trainer(_ name: String, _ run: RunConfiguration, isWhole: Bool) throws -> Trainer {
    let folder = RunFolder(existing: "\(temporary.path)/\(name)")
    let isResumed = folder.holdsState
    return try Trainer(
      run, ImageSplits(DatasetSplits(train: images(8), validation: images(3, isWhole: isWhole))), on: CPUBackend(),
      folder: isResumed ? folder : RunFolder(creating: folder.path), resuming: isResumed, takingOtherImages: true)
  }

  private func contents(_ name: String, _ file: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(temporary.path)/\(name)/\(file)"))
  }

  @Test func aLossThatIsNotFiniteEndsNothing() throws {
    let trainer = try trainer("a", configuration(), isWhole: false)
    var (notices, epochs): ([String], [EpochRecord]) = ([], [])
    trainer.onNotice = { notices.append($0.description) }
    #expect(try trainer.run(report: { if case .epoch(let record) = $0 { epochs.append(record) } }) == .finished)
    #expect(epochs.map(\.epoch) == [1, 2] && epochs.allSatisfy { !$0.validationLoss.isFinite && $0.validationAccuracy < 1 })
    #expect(notices.count == 2 && notices[1].hasPrefix("the validation loss of epoch 2 is not finite"), "\(notices)")
    let lines = try String(decoding: contents("a", "metrics.jsonl"), as: UTF8.self).split(separator: "\n")
    let logged = try lines.map { try JSON(parsing: String($0)) }.filter { $0["kind"] == .string("epoch") }
    #expect(logged.map { $0["validation_loss"] } == [.null, .null])
    // The weights are those of the same run with other validation images.
    #expect(try self.trainer("whole", configuration(), isWhole: true).run() == .finished)
    #expect(try contents("a", "last.safetensors") == contents("whole", "last.safetensors"))
    #expect(trainer.bestFigures == nil && !FileManager.default.fileExists(atPath: "\(temporary.path)/a/best.safetensors"))
    let failure = try #require(throws: Failure.self) { _ = try trainer.bestWeights() }
    #expect(failure.description.hasPrefix("no epoch has a finite validation loss"), "\(failure)")
  }

  @Test func itIsNoImprovement() throws {
    let run = configuration { ($0.epochs, $0.patience) = (5, 2) }
    let trainer = try trainer("a", run, isWhole: false)
    #expect(try trainer.run() == .finished)
    #expect(trainer.epochsDone == 2 && trainer.endedEarly)
  }

  /// The images to validate on lose a pixel after the first epoch.
  @Test func theBestEpochStays() throws {
    do {
      let first = try trainer("a", configuration(), isWhole: true)
      #expect(try first.run(shouldStop: { first.step == 3 }) == .stopped)
    }
    let best = try contents("a", "best.safetensors")
    let second = try trainer("a", configuration(), isWhole: false)
    let figures = try #require(second.bestFigures)
    #expect(try second.run() == .finished)
    #expect(figures.epoch == 1 && second.bestFigures?.epoch == 1 && second.bestFigures?.loss == figures.loss)
    #expect(try contents("a", "best.safetensors") == best)
  }

  /// The only step has a finite loss, and its rate makes weights that are not finite.
  @Test func weightsThatAreNotFiniteEndTheRun() throws {
    let run = configuration { ($0.epochs, $0.batchSize, $0.optimizer.learningRate) = (1, 8, 1e300) }
    let trainer = try trainer("a", run, isWhole: true)
    let failure = try #require(throws: Failure.self) { try trainer.run() }
    #expect(failure.kind == .diverged && failure.step == 1, "\(failure)")
    #expect(failure.description.contains("the validation loss and some weights are not finite after step 1"), "\(failure)")
    #expect(trainer.savedStep == 0 && trainer.epochsDone == 0)
  }
}
