import Foundation
import Models
import Support
import TestSupport
import Testing
import Training

/// Checks what becomes of a run whose files cannot be written. A folder in the place of a file stands for a disk that refuses it.
@Suite struct SaveFailureTests {
  private let runs: TinyRuns
  private let temporary: TemporaryFolder

  init() throws {
    temporary = try TemporaryFolder()
    runs = TinyRuns(in: temporary.path)
  }

  private func block(_ name: String, _ file: String) throws {
    try FileManager.default.createDirectory(atPath: runs.path(name, file), withIntermediateDirectories: true)
  }

  /// A file that is refused is tried again with the next save, and no older state is lost.
  @Test func aFailureIsToldOnceAndMadeGood() throws {
    var run = runs.configuration
    run.epochs = 3
    let trainer = try runs.trainer("a", run)
    trainer.patience.interval = 0
    var notices: [String] = []
    trainer.onNotice = { notices.append($0.description) }
    try block("a", "last.safetensors")
    var states: [[String]] = []
    let ending = try trainer.run(report: { event in
      guard case .epoch(let record) = event else { return }
      states.append((try? runs.states("a")) ?? [])
      if record.epoch == 2 { try? FileManager.default.removeItem(atPath: runs.path("a", "last.safetensors")) }
    })
    #expect(ending == .finished)
    #expect(notices.count == 2, "\(notices)")
    #expect(notices.first?.contains("last.safetensors: it is not a regular file; training goes on") == true, "\(notices)")
    #expect(notices.last?.hasPrefix("the state is saved again") == true, "\(notices)")
    // The states before the validations were saved: the weights for use were not.
    #expect(states[0] == ["state-00000000.safetensors", "state-00000006.safetensors"], "\(states)")
    run.files?.keepStates = 2
    #expect(try runs.trainer("whole", run).run() == .finished)
    for file in ["last.safetensors", "best.safetensors", "state-00000018.safetensors"] {
      #expect(try runs.contents("a", file) == runs.contents("whole", file), "\(file)")
    }
  }

  /// The state before the first step is safe before it is asked for, and the weights are refused twice.
  @Test func aRequestIsAnsweredByWhatIsSaved() throws {
    let trainer = try runs.trainer("a")
    try block("a", "last.safetensors")
    var (notices, saved, requests): ([String], [Int], Int) = ([], [], 0)
    trainer.onNotice = { notices.append($0.description) }
    let ending = try trainer.run(
      shouldSave: {
        requests += 1
        if requests == 3 { try? FileManager.default.removeItem(atPath: runs.path("a", "last.safetensors")) }
        return requests <= 3
      }, report: { if case .progress(.saved(let step)) = $0 { saved.append(step) } })
    #expect(ending == .finished && saved == [2], "\(saved)")
    #expect(notices.count == 3, "\(notices)")
    #expect(notices.first?.hasPrefix("the state is saved, but not all other files are: ") == true, "\(notices)")
    #expect(notices.dropFirst().first?.hasPrefix("the state is not saved: ") == true, "\(notices)")
    #expect(notices.last == "the state is saved again, at step 2", "\(notices)")
  }

  @Test func aFailureAtTheEndSaysWhatIsLost() throws {
    let trainer = try runs.trainer("a")
    trainer.patience.pauses = [0, 0]
    try block("a", "state-00000012.safetensors")
    let failure = try #require(#expect(throws: Failure.self) { try trainer.run() })
    let text = failure.description
    #expect(text.contains("state-00000012.safetensors: it is not a regular file"), "\(text)")
    #expect(text.hasSuffix("the last 6 steps are lost, as the newest state is of step 6"), "\(text)")
    #expect(failure.kind == .inputOutput)
  }

  /// Makes a run that is stopped at step 8 of 12, when its folder refuses the weights.
  /// - Parameter refuge: folder for what is refused.
  private func stopRefused(refuge: String) throws -> Failure {
    let trainer = try runs.trainer("a")
    (trainer.patience.pauses, trainer.patience.refuge) = ([0], refuge)
    let files = FileManager.default
    return try #require(
      #expect(throws: Failure.self) {
        try trainer.run(shouldStop: {
          guard trainer.step == 8 else { return false }
          try? files.removeItem(atPath: runs.path("a", "last.safetensors"))
          try? block("a", "last.safetensors")
          return true
        })
      })
  }

  /// A state that the folder refuses at a stop is saved in another place. Moved into the folder, it ends in the same bits.
  @Test func aStateFindsRefuge() throws {
    let (files, refuge) = (FileManager.default, "\(runs.folder)/refuge")
    try files.createDirectory(atPath: refuge, withIntermediateDirectories: true)
    let failure = try stopRefused(refuge: refuge)
    let place = "\(refuge)/\(try #require(try files.contentsOfDirectory(atPath: refuge).first))"
    #expect(failure.description.contains(": the state of step 8 is in \(place) instead: make room, move"), "\(failure)")
    let found = try files.contentsOfDirectory(atPath: place).sorted()
    #expect(failure.kind == .inputOutput && found == ["last.safetensors", "state-00000008.safetensors"], "\(found)")
    try files.removeItem(atPath: runs.path("a", "last.safetensors"))
    for name in found { try files.moveItem(atPath: "\(place)/\(name)", toPath: runs.path("a", name)) }
    let resumed = try runs.trainer("a")
    #expect(try resumed.notes.isEmpty && resumed.step == 8 && resumed.run() == .finished, "\(resumed.notes)")
    #expect(try runs.trainer("whole").run() == .finished)
    for file in ["last.safetensors", "best.safetensors", "layers.jsonl"] {
      #expect(try runs.contents("a", file) == runs.contents("whole", file), "\(file)")
    }
    #expect(try runs.log("a") == runs.log("whole"))
  }

  @Test func aRefugeThatIsNotThereLosesTheSteps() throws {
    let failure = try stopRefused(refuge: "\(runs.folder)/nowhere")
    #expect(failure.description.hasSuffix("the last 2 steps are lost, as the newest state is of step 6"), "\(failure)")
  }

  @Test func aFailureThatLastsEndsTheRun() throws {
    let trainer = try runs.trainer("a")
    trainer.patience.limit = 0
    try block("a", "best.safetensors")
    #expect(throws: Failure.self) { try trainer.run() }
    #expect(trainer.epochsDone == 1)
  }

  /// A run that cannot save at its start ends at once and leaves nothing.
  @Test func theFirstStateMustBeSaved() throws {
    let trainer = try runs.trainer("a")
    try block("a", "state-00000000.safetensors")
    #expect(throws: Failure.self) { try trainer.run() }
    #expect(trainer.step == 0)
  }

  @Test func aFolderThatIsReplacedEndsTheRun() throws {
    let trainer = try runs.trainer("a")
    trainer.patience.pauses = []
    var isMoved = false
    let failure = #expect(throws: Failure.self) {
      try trainer.run(report: { event in
        guard case .progress(.step(_, 3, _, _, _)) = event, !isMoved else { return }
        isMoved = true
        let files = FileManager.default
        try? files.moveItem(atPath: "\(runs.folder)/a", toPath: "\(runs.folder)/moved")
        try? files.createDirectory(atPath: "\(runs.folder)/a/other", withIntermediateDirectories: true)
      })
    }
    #expect(failure?.description.contains("another one is in its place") == true, "\(failure?.description ?? "")")
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(runs.folder)/a") == ["other"])
    #expect(try runs.states("moved") == ["state-00000000.safetensors"])
  }

  /// Weights that are not finite replace no file.
  @Test func divergedWeightsReplaceNothing() throws {
    var run = runs.configuration
    (run.epochs, run.warmupEpochs, run.schedule) = (1, 0, .constant)
    #expect(try runs.trainer("a", run).run() == .finished)
    let before = try runs.contents("a", "last.safetensors")
    var wild = try RunFolder(existing: "\(runs.folder)/a").configuration()
    (wild.epochs, wild.optimizer.learningRate) = (3, 1e30)
    let failure = #expect(throws: Failure.self) { try runs.trainer("a", wild).run() }
    #expect(failure?.kind == .diverged)
    #expect(try runs.contents("a", "last.safetensors") == before)
    #expect(try runs.states("a").contains("state-00000006.safetensors"))
  }
}
