import Compute
import Datasets
import Foundation
import Models
import Support
import TestSupport
import Testing
import Training

/// Checks what may be another when a run goes on: settings, the number of epochs, and images.
@Suite struct ResumptionTests {
  private let runs: TinyRuns
  private let temporary: TemporaryFolder
  private var folder: RunFolder { RunFolder(existing: "\(runs.folder)/a") }

  /// Makes a run that was stopped at step 8 of 12.
  init() throws {
    temporary = try TemporaryFolder()
    runs = TinyRuns(in: temporary.path)
    let cut = try runs.trainer("a")
    #expect(try cut.run(shouldStop: { cut.step >= 8 }) == .stopped)
  }

  private func edit(_ old: String, _ new: String) throws {
    let text = try String(contentsOfFile: folder.configurationPath, encoding: .utf8)
    #expect(text.contains(old))
    try text.replacingOccurrences(of: old, with: new).write(toFile: folder.configurationPath, atomically: true, encoding: .utf8)
  }

  @Test func changedSettingsAreShown() throws {
    #expect(try folder.configuration(for: Resumption()).notices.isEmpty)
    try edit("\"learningRate\" : 0.05", "\"learningRate\" : 0.5")
    try edit("\"seed\" : 7", "\"seed\" : 8")
    let failure = try #require(#expect(throws: Failure.self) { try folder.configuration(for: Resumption()) })
    let text = failure.description
    #expect(text.contains("optimizer.learningRate is 0.5 and was 0.05, seed is 8 and was 7"), "\(text)")
    #expect(failure.kind == .mismatch && failure.suggestions.keys.contains(.allowConfigChange))
    let taken = try folder.configuration(for: Resumption(takesChangedSettings: true)).configuration
    #expect(taken.optimizer.learningRate == 0.5 && taken.seed == 8)
    // A run that went on with them has them in its state from then on.
    _ = try runs.trainer("a", taken).run(shouldStop: { true })
    #expect(try folder.configuration(for: Resumption()).configuration.seed == 8)
  }

  /// Settings of files and places may change.
  @Test func settingsThatChangeNoResultAreFree() throws {
    try edit("\"keepStates\" : 2", "\"keepStates\" : 3")
    #expect(try folder.configuration(for: Resumption()).configuration.files?.keepStates == 3)
  }

  /// What follows a step at fault may change when a run goes on, which is said, and changes no bit of a run without one.
  @Test func whatFollowsAFaultMayChange() throws {
    var run = try folder.configuration()
    run.onFault = .skip
    do {
      let trainer = try runs.trainer("a", run)
      #expect(trainer.notes.count == 1 && trainer.notes[0].hasPrefix("from here on, steps"), "\(trainer.notes)")
      #expect(try trainer.run(shouldStop: { trainer.step >= 10 }) == .stopped)
    }
    #expect(try folder.configuration(for: Resumption()).configuration.onFault == .skip)
    run.onFault = .stop
    do {
      let trainer = try runs.trainer("a", run)
      #expect(trainer.notes.count == 1 && trainer.notes[0].hasPrefix("from here on, a step"), "\(trainer.notes)")
      #expect(try trainer.run() == .finished)
    }
    #expect(try runs.trainer("whole").run() == .finished)
    #expect(try runs.contents("a", "last.safetensors") == runs.contents("whole", "last.safetensors"))
  }

  @Test func lostSettingsAreThoseOfTheState() throws {
    let before = try folder.configuration()
    try FileManager.default.removeItem(atPath: folder.configurationPath)
    let (run, notices) = try folder.configuration(for: Resumption())
    #expect(run == before && notices.count == 1 && notices[0].description.contains("config.json is not there"))
    do { #expect(try runs.trainer("a", run).run() == .finished) }
    #expect(try folder.configuration() == before)
  }

  @Test func aRunHasMoreEpochs() throws {
    do { #expect(try runs.trainer("a").run() == .finished) }
    let run = try folder.configuration(for: Resumption(epochs: 4)).configuration
    do {
      let more = try runs.trainer("a", run)
      #expect(more.step == 12 && more.totalSteps == 24 && more.notes.count == 1, "\(more.notes)")
      #expect(more.notes.first?.hasPrefix("4 epochs, where the run had 2: the learning rate goes on") == true, "\(more.notes)")
      // The cosine of four epochs, after two of them and a warm-up of one: a third of the way.
      let rate = try #require(more.notes.first?.split(separator: " ").last.flatMap { Double($0) })
      #expect(abs(rate - 0.05 * (1 + cos(.pi / 3)) / 2) < 1e-8, "\(rate)")
      #expect(try more.run(shouldStop: { more.step >= 15 }) == .stopped)
    }
    do { #expect(try runs.trainer("a").run() == .finished) }
    #expect(try runs.states("a") == ["state-00000018.safetensors", "state-00000024.safetensors"])
    #expect(try runs.log("a").filter { $0[0] == .string("epoch") }.count == 4)
  }

  @Test func epochsThatAreOverStay() throws {
    let failure = #expect(throws: Failure.self) { try folder.configuration(for: Resumption(epochs: 1)) }
    #expect(failure?.description == "epochs 1: the run is in epoch 2 already")
    #expect(try folder.configuration(for: Resumption(epochs: 2)).configuration.epochs == 2)
  }

  @Test func settingsOfFilesAreRemembered() throws {
    var run = try folder.configuration()
    run.files = RunFileSettings(logEvery: 1, saveEvery: .steps(2), keepStates: 3)
    do { #expect(try runs.trainer("a", run).run() == .finished) }
    #expect(try folder.configuration().files == run.files)
    #expect(try runs.log("a").suffix(4).map { $0[2] } == [10, 11, 12, 12].map { Optional(JSON.integer($0)) })
    #expect(try runs.states("a").count == 3)
  }

  /// Returns the images of the run, of which some bytes are others.
  private func changed(labels: Bool = false, pixels: Bool = false) -> DatasetSplits {
    let train = runs.splits.train
    var (images, found) = (train.images, train.labels.elements(as: Int32.self))
    if labels { found.swapAt(0, found.firstIndex { $0 != found[0] } ?? 0) }
    if pixels { images.bytes[images.bytes.count - 1] ^= 1 }
    return DatasetSplits(
      train: Dataset(
        name: train.name, images: images, labels: HostTensor(found, shape: [found.count]), classes: train.classes,
        normalization: train.normalization), validation: runs.splits.validation)
  }

  @Test func otherImagesAreNoticed() throws {
    for (images, says) in [
      (changed(labels: true), "some of the 24 images to train on have other labels"),
      (changed(pixels: true), "some of the 24 images to train on have other pixels or another size"),
      (DatasetSplits(train: runs.splits.train.prefix(20), validation: runs.splits.validation), "20 images to train on, not 24"),
      (
        DatasetSplits(train: runs.splits.train, validation: runs.splits.validation.prefix(5)),
        "5 images to measure on, not 6"
      ),
    ] {
      let failure = try #require(#expect(throws: Failure.self) { try runs.trainer("a", nil, images) })
      #expect(failure.description.contains("has changed since the run began: \(says)"), "\(failure)")
      #expect(failure.suggestions.keys.contains(.allowDataChange))
    }
    // Whoever wants to goes on with them, and they are the run's images from then on.
    let images = changed(pixels: true)
    do { #expect(try runs.trainer("a", nil, images, takingOthers: true).run() == .finished) }
    #expect(throws: Never.self) { try runs.trainer("a", nil, images) }
    #expect(throws: Failure.self) { try runs.trainer("a") }
  }
}
