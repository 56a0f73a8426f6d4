import Datasets
import Formats
import Foundation
import Models
import OpenCLBackend
import Support
import TestSupport
import Testing
import Training

/// Tests what a run reports on its way, which epoch is its best one, and what is left of a run that saved nothing.
@Suite struct RunEndingTests {
  private let splits = SyntheticImages(seed: 3, count: 96, validationCount: 8, classes: 4, size: 16, channels: 3).splits()
  private let temporary: TemporaryFolder
  private var folder: String { temporary.path }

  init() throws { temporary = try TemporaryFolder() }

  private var configuration: RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 4, channels: 3), dataset: "synthetic")
    (run.epochs, run.batchSize, run.seed) = (8, 16, 7)
    return run
  }

  private func trainer(
    _ name: String, _ run: RunConfiguration? = nil, resuming: Bool = false, logEvery: Int = 1
  ) throws -> Trainer {
    let path = "\(folder)/\(name)"
    return try Trainer(
      run ?? configuration, splits, on: OpenCLBackend(device: DeviceList.find("opencl").device),
      folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path), resuming: resuming, logEvery: logEvery)
  }

  private func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(name)") }

  @Test func ofEqualAccuraciesTheLowerLossIsTheBest() throws {
    let whole = try trainer("whole")
    var (records, weights) = ([EpochRecord](), [Data]())
    #expect(whole.bestFigures == nil)
    let path = try #require(whole.folder)
    var unreadable: (any Error)?
    _ = try whole.run(report: {
      guard case .epoch(let record) = $0 else { return }
      records.append(record)
      do { weights.append(try contents(path.lastPath)) } catch { unreadable = error }
    })
    #expect(unreadable == nil)
    let best = try #require(
      records.indices.min {
        (-records[$0].validationAccuracy, records[$0].validationLoss) < (
          -records[$1].validationAccuracy, records[$1].validationLoss
        )
      })
    let first = records.indices.max { records[$0].validationAccuracy < records[$1].validationAccuracy }
    #expect(first != best, "two epochs have to be equally accurate: \(records.map(\.validationAccuracy))")
    #expect(try contents(path.bestPath) == weights[best])
    let figures = try #require(whole.bestFigures)
    #expect(figures == (best + 1, records[best].validationAccuracy, records[best].validationLoss))

    // A run that is stopped between the two goes on with the figures that it saved.
    do {
      let cut = try trainer("cut")
      #expect(try cut.run(shouldStop: { cut.step >= 6 * best + 2 }) == .stopped)
    }
    let resumed = try trainer("cut", resuming: true)
    #expect(try resumed.run() == .finished)
    #expect(try #require(resumed.bestFigures) == figures)
    for file in [\RunFolder.bestPath, \.lastPath, \.statePath] {
      #expect(try contents(RunFolder(existing: "\(folder)/cut")[keyPath: file]) == contents(path[keyPath: file]), "\(file)")
    }
    // The best epoch's predictions are kept beside its weights.
    #expect(try contents("\(folder)/cut/validation.json") == contents("\(folder)/whole/validation.json"))
    let record = try #require(try path.validation())
    let metrics = record.evaluation.metrics
    #expect(record.epoch == best + 1 && metrics.images == 8 && metrics.top1 == figures.accuracy && metrics.loss == figures.loss)
    let perClass = record.evaluation.perClass
    #expect(perClass.map(\.name) == splits.validation.classes && perClass.reduce(0) { $0 + $1.images } == 8)
    #expect(record.evaluation.worst.count == 8 - perClass.reduce(0) { $0 + $1.right })
  }

  @Test func everyStepAndEveryBatchIsReported() throws {
    var run = configuration
    run.epochs = 2
    let trainer = try trainer("a", run, logEvery: 1000)
    var (steps, validated, epoch, rest) = ([Int](), [[Int]](), 0, 0)
    _ = try trainer.run(report: {
      switch $0 {
      case .progress(.step(let inEpoch, let step, let images, let loss, let accuracy)):
        steps.append(step)
        #expect(inEpoch == epoch + 1 && images == 16 && loss > 0 && (0...1).contains(accuracy))
      case .progress(.validation(let inEpoch, let done, let total)):
        #expect(inEpoch == epoch + 1 && total == 8)
        if validated.count <= epoch { validated.append([]) }
        validated[epoch].append(done)
      case .epoch: epoch += 1
      case .step, .progress(.saved): rest += 1
      }
    })
    #expect(steps == Array(1...12) && validated == [[8], [8]] && rest == 0)
    let log = try String(contentsOfFile: "\(folder)/a/metrics.jsonl", encoding: .utf8)
    #expect(log.split(separator: "\n").count == 2, "progress is in no file")
  }

  /// A run that diverges at once keeps the step at fault with what led to it, and no weights.
  @Test func aRunThatDivergesAtOnceKeepsTheStep() throws {
    var run = configuration
    run.optimizer.learningRate = 1e30
    run.warmupEpochs = 0
    let failure = #expect(throws: Failure.self) { try trainer("new/folders/a", run).run() }
    let step = try #require(failure?.step)
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/new/folders/a")
    #expect(names.contains("fault-step-\(step).safetensors") && names.contains("config.json"), "\(names)")
    #expect(!names.contains("last.safetensors") && !names.contains("best.safetensors"), "\(names)")

    // Files that another run saved stay.
    _ = try trainer("saved", configuration).run(shouldStop: { true })
    #expect(throws: Failure.self) { try trainer("saved", run) }
    #expect(exists("saved/config.json") && exists("saved/state-00000000.safetensors"))
  }

  @Test func aRunOfAnEarlierVersionGoesOn() throws {
    var run = configuration
    run.maxSteps = 12
    do { #expect(try trainer("old", run).run(shouldStop: { exists("old/best.safetensors") }) == .stopped) }
    // The earlier form knows the accuracy of the best epoch, and neither its loss nor its number.
    let old = RunFolder(existing: "\(folder)/old")
    try makeEarlier(old) { position in
      let earlier = position.replacing(/"best(Loss|Epoch)":[^,}]*,?/, with: "")
      #expect(earlier != position)
      return earlier
    }
    #expect(old.holdsState && old.statePath.hasSuffix("/resume.safetensors"))
    let resumed = try trainer("old", run, resuming: true)
    let figures = try #require(resumed.bestFigures)
    #expect(figures.epoch == nil && figures.loss == nil && figures.accuracy >= 0)
    #expect(try resumed.run() == .finished)
    #expect(!exists("old/resume.safetensors") && exists("old/state-00000012.safetensors"))
  }
}
