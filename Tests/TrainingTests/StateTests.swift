import CPUBackend
import Checkpoints
import Compute
import Datasets
import Formats
import Foundation
import Images
import Models
import NN
import Support
import TestSupport
import Testing
import Training

/// Tiny runs on the reference, whose states the tests look at.
struct TinyRuns {
  let splits: DatasetSplits
  let folder: String

  init(in folder: String) {
    self.folder = folder
    splits = SyntheticImages(seed: 3, count: 24, validationCount: 6, classes: 3, size: 8, channels: 1).splits()
  }

  var configuration: RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 1), dataset: "synthetic")
    (run.epochs, run.batchSize, run.seed, run.optimizer.learningRate) = (2, 4, 7, 0.05)
    run.files = RunFileSettings(logEvery: 4, saveEvery: .never)
    return run
  }

  func trainer(
    _ name: String, _ run: RunConfiguration? = nil, _ images: DatasetSplits? = nil, takingOthers: Bool = false
  ) throws -> Trainer {
    let path = "\(folder)/\(name)"
    let isResumed = RunFolder(existing: path).holdsState
    let kept = isResumed ? try run ?? RunFolder(existing: path).configuration() : run ?? configuration
    return try Trainer(
      kept, ImageSplits(images ?? splits), on: CPUBackend(),
      folder: isResumed ? RunFolder(existing: path) : RunFolder(creating: path), resuming: isResumed,
      takingOtherImages: takingOthers)
  }

  func path(_ name: String, _ file: String) -> String { "\(folder)/\(name)/\(file)" }

  func contents(_ name: String, _ file: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path(name, file))) }

  func states(_ name: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(name)").filter { $0.hasPrefix("state-") }.sorted()
  }

  /// Copies the files of a run as a kill would leave them that comes right after a state was saved.
  func copy(_ name: String, to other: String, only state: String) throws {
    let files = FileManager.default
    try files.createDirectory(atPath: "\(folder)/\(other)", withIntermediateDirectories: true)
    for file in ["config.json", "metrics.jsonl", "layers.jsonl", "best.safetensors", state]
    where files.fileExists(atPath: path(name, file)) {
      try files.copyItem(atPath: path(name, file), toPath: path(other, file))
    }
  }

  /// Figures of the log that do not depend on time.
  func log(_ name: String) throws -> [[JSON?]] {
    try String(contentsOfFile: path(name, "metrics.jsonl"), encoding: .utf8).split(separator: "\n").map { line in
      let record = try JSON(parsing: String(line))
      return ["kind", "epoch", "step", "loss", "accuracy", "validation_loss"].map { record[$0] }
    }
  }

  /// Changes the bytes of a file.
  func damage(_ name: String, _ file: String, _ change: (inout [UInt8]) -> Void) throws {
    var bytes = [UInt8](try contents(name, file))
    change(&bytes)
    try Data(bytes).write(to: URL(fileURLWithPath: path(name, file)))
  }
}

/// Checks that a run can go on from each of its states, and to the same bits.
@Suite struct StateTests {
  private let runs: TinyRuns
  private let temporary: TemporaryFolder

  init() throws {
    temporary = try TemporaryFolder()
    runs = TinyRuns(in: temporary.path)
  }

  /// Settings with everything that a state has to hold, but the loss scale, which the reference has no use for.
  private var full: RunConfiguration {
    var run = runs.configuration
    (run.lookahead, run.averageDecay, run.stochasticDepth, run.resizeFrom) = (2, 0.9, 0.3, 6)
    (run.batchSize, run.accumulate, run.clipNorm) = (2, 2, 1)
    run.augmentation = Augmentation(crop: .padded(pixels: 1))
    return run
  }

  @Test(arguments: [false, true]) func eachStateEndsInTheSameBits(isFull: Bool) throws {
    let plain = isFull ? full : runs.configuration
    #expect(try runs.trainer("plain", plain).run() == .finished)
    var saved = plain
    saved.files = RunFileSettings(logEvery: 4, saveEvery: .steps(1), keepStates: 100)
    let whole = try runs.trainer("whole", saved)
    #expect(whole.stepsPerEpoch == 6 && whole.totalSteps == 12)
    // The saver may be behind the steps, so each one waits for it.
    var done = 0
    #expect(
      try whole.run(report: {
        if case .progress(.step(_, let step, _, _, _)) = $0 { done = step }
      }) == .finished)
    #expect(done == 12)
    // Saves change nothing.
    #expect(try runs.contents("whole", "last.safetensors") == runs.contents("plain", "last.safetensors"))
    let states = try runs.states("whole")
    #expect(states.first == "state-00000000.safetensors" && states.last == "state-00000012.safetensors")
    let within = states.filter { !["00", "06", "12"].contains($0.dropLast(12).suffix(2)) }
    #expect(!within.isEmpty, "\(states)")
    for state in [states[0], "state-00000006.safetensors"] + within.prefix(3) {
      try runs.copy("whole", to: state, only: state)
      let resumed = try runs.trainer(state)
      #expect(resumed.notes.isEmpty, "\(resumed.notes)")
      #expect(resumed.step == Int(state.dropLast(12).suffix(8)))
      #expect(try resumed.run() == .finished)
      #expect(try runs.contents(state, "last.safetensors") == runs.contents("whole", "last.safetensors"), "\(state)")
      #expect(try runs.contents(state, "layers.jsonl") == runs.contents("whole", "layers.jsonl"), "\(state)")
      #expect(try runs.log(state) == runs.log("whole"), "\(state)")
    }
  }

  /// Stops in the validation, before which the state is saved: the slow weights have moved then, and must not do so again.
  @Test func aPendingValidationEndsInTheSameBits() throws {
    var run = full
    run.lookahead = 4
    #expect(try runs.trainer("whole", run).run() == .finished)
    do {
      let cut = try runs.trainer("cut", run)
      var isValidating = false
      let ending = try cut.run(
        shouldStop: { isValidating }, report: { if case .progress(.validation) = $0 { isValidating = true } })
      #expect(ending == .stopped && cut.step == 6 && cut.epochsDone == 0)
    }
    #expect(try runs.states("cut") == ["state-00000000.safetensors", "state-00000006.safetensors"])
    #expect(try runs.trainer("cut").run() == .finished)
    for file in ["last.safetensors", "best.safetensors", "layers.jsonl", "state-00000012.safetensors"] {
      #expect(try runs.contents("cut", file) == runs.contents("whole", file), "\(file)")
    }
    #expect(try runs.log("cut") == runs.log("whole"))
  }

  /// A run that is killed before its first step can be resumed, and only the newest states are kept.
  @Test func theFirstStateIsThereBeforeTheFirstStep() throws {
    var seen: [String] = []
    let trainer = try runs.trainer("a")
    _ = try trainer.run(shouldStop: {
      if seen.isEmpty { seen = (try? runs.states("a")) ?? [] }
      return false
    })
    #expect(seen == ["state-00000000.safetensors"])
    #expect(try runs.states("a") == ["state-00000006.safetensors", "state-00000012.safetensors"])
    #expect(trainer.savedStep == 12)
  }

  /// Images, of which one may not be read.
  private struct Failing: ImageSource, ImageLoader {
    let source: Dataset
    /// The image that cannot be read; nil for none.
    let broken: Int?
    var name: String { source.name }
    var shape: Shape { source.shape }
    var classes: [String] { source.classes }
    var normalization: Normalization { source.normalization }
    var items: [ImageItem] { source.items }
    var imageBytes: Int { 64 }
    func loader() -> any ImageLoader { self }
    func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) throws {
      if item.sample == broken { throw Failure(.damagedFile, about: "\(item.sample)", "it cannot be read") }
      try source.loader().load(item, into: pixels)
    }
    func prefix(_ count: Int) -> Failing { self }
  }

  /// Makes a run in the order of its images, or goes on with it.
  /// - Parameters:
  ///   - broken: image to train on that cannot be read; nil for none.
  ///   - brokenValidation: image to validate on that cannot be read; nil for none.
  private func trainer(_ name: String, broken: Int? = nil, brokenValidation: Int? = nil) throws -> Trainer {
    var run = runs.configuration
    run.shuffle = false
    let folder = RunFolder(existing: "\(runs.folder)/\(name)")
    let isResumed = folder.holdsState
    let splits = ImageSplits(
      train: Failing(source: runs.splits.train, broken: broken),
      validation: Failing(source: runs.splits.validation, broken: brokenValidation))
    return try Trainer(
      isResumed ? folder.configuration() : run, splits, on: CPUBackend(),
      folder: isResumed ? folder : RunFolder(creating: folder.path), resuming: isResumed)
  }

  /// What is in memory is saved before an error of the data ends the run: one in the fifth batch of four, and one in the
  /// validation of the first epoch.
  @Test(arguments: [false, true]) func anErrorSavesTheStepsBefore(isInValidation: Bool) throws {
    #expect(throws: Failure.self) {
      try trainer("a", broken: isInValidation ? nil : 17, brokenValidation: isInValidation ? 1 : nil).run()
    }
    #expect(try runs.states("a") == ["state-00000000.safetensors", "state-0000000\(isInValidation ? 6 : 4).safetensors"])
    #expect(try trainer("a").run() == .finished)
    #expect(try trainer("whole").run() == .finished)
    for file in ["last.safetensors", "layers.jsonl"] {
      #expect(try runs.contents("a", file) == runs.contents("whole", file), "\(file)")
    }
    #expect(try runs.log("a") == runs.log("whole"))
  }

  /// An error after the last step of an epoch leaves the slow weights and the norms of the layers as the epoch's end does.
  @Test func anErrorAfterTheLastStepLosesNothing() throws {
    struct Stop: Error {}
    var run = full
    run.lookahead = 4
    do {
      let cut = try runs.trainer("cut", run)
      cut.onTiming = { begin in if !begin { throw Stop() } }
      #expect(throws: Stop.self) { try cut.run() }
    }
    #expect(try runs.states("cut") == ["state-00000000.safetensors", "state-00000006.safetensors"])
    #expect(try runs.trainer("cut").run() == .finished)
    #expect(try runs.trainer("whole", run).run() == .finished)
    for file in ["last.safetensors", "layers.jsonl"] {
      #expect(try runs.contents("cut", file) == runs.contents("whole", file), "\(file)")
    }
    #expect(try runs.log("cut") == runs.log("whole"))
  }

  @Test func leftoversOfKilledSavesAreRemoved() throws {
    _ = try runs.trainer("a").run(shouldStop: { true })
    for name in [".tmp-0123456789abcdef", ".tmp-notes", "tmp-1"] {
      try Data("x".utf8).write(to: URL(fileURLWithPath: runs.path("a", name)))
    }
    _ = try runs.trainer("a")
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(runs.folder)/a").filter { $0.contains("tmp") }
    #expect(Set(left) == [".tmp-notes", "tmp-1"])
  }

  @Test func linesOfTheLogThatAreMissingAreTold() throws {
    do {
      let cut = try runs.trainer("a")
      #expect(try cut.run(shouldStop: { cut.step >= 9 }) == .stopped)
    }
    let log = URL(fileURLWithPath: runs.path("a", "metrics.jsonl"))
    let text = try String(contentsOf: log, encoding: .utf8)
    try Data(("not JSON\n" + text + "{\"kind\":\"st").utf8).write(to: log)
    #expect(try runs.trainer("a").notes == ["\(log.path): line 1 cannot be read and is left out"])
    #expect(try String(contentsOf: log, encoding: .utf8) == text)
    try FileManager.default.removeItem(at: log)
    let notes = try runs.trainer("a").notes
    #expect(notes.count == 1 && notes[0].contains("has 0 of the 1 epochs that are done"), "\(notes)")
  }

  @Test(arguments: [
    ("500", SaveInterval.steps(500)), ("30s", .seconds(30)), ("10m", .seconds(600)), ("2h", .seconds(7200)),
    ("90s", .seconds(90)),
    ("never", .never),
  ])
  func intervalsHaveATextOfTheirOwn(_ text: String, _ interval: SaveInterval) throws {
    #expect(SaveInterval(text) == interval && interval.description == text)
    #expect(try JSONDecoder().decode([SaveInterval].self, from: JSONEncoder().encode([interval])) == [interval])
    for wrong in ["", "m", "10 m", "1.5h", "tenm", "99999999999999999999", "9999999999h"] { #expect(SaveInterval(wrong) == nil) }
  }
}
