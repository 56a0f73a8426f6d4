import Foundation
import ResNetKit
import TestSupport
import Testing

/// Uses the library as a program does, on the reference, with networks and images that are small.
@Suite struct SessionTests {
  private static let images = TrainingData.images(
    ImageSplits(SyntheticImages(count: 16, validationCount: 8, classes: 3, size: 8).splits()))

  private func session(folder: String? = nil, epochs: Int = 2) throws -> TrainingSession {
    try TrainingSession("resnet8", on: Self.images, device: .reference, folder: folder) { run in
      run.epochs = epochs
      run.batchSize = 8
    }
  }

  @Test func trainsWithoutAFolder() throws {
    let session = try session()
    #expect(throws: Failure.self) { _ = try session.best }
    var epochs: [EpochRecord] = []
    try session.train { if case .epoch(let epoch) = $0 { epochs.append(epoch) } }
    #expect(epochs.map(\.epoch) == [1, 2] && session.progress == (4, 4))
    let best = try session.best
    #expect(best.name == "resnet8" && best.channels == 3 && best.imageSize == (8, 8) && best.dataset == "synthetic")
    #expect(!best.namesClasses && best.classes == ["0", "1", "2"])
  }

  @Test func aSavedNetworkClassifiesAlike() throws {
    try withTemporaryFolder { folder in
      let session = try session(epochs: 1)
      try session.train()
      try writePicture("\(folder)/a.png", height: 9, width: 11, color: (200, 30, 30), noise: 1)
      let last = try session.last
      try last.save("\(folder)/last.safetensors")
      let (kept, read) = (
        try ImageClassifier(last, on: .reference), try ImageClassifier("\(folder)/last.safetensors", on: .reference)
      )
      let result = try kept.classify("\(folder)/a.png")
      #expect(try read.classify("\(folder)/a.png") == result)
      #expect(result.candidates.count == 3 && abs(result.candidates.reduce(0) { $0 + $1.probability } - 1) < 1e-9)
      #expect(result.best.probability >= result.candidates[1].probability)
    }
  }

  @Test func aNetworkExplainsImages() throws {
    try withTemporaryFolder { folder in
      let session = try session(epochs: 1)
      try session.train()
      try writePicture("\(folder)/a.png", height: 9, width: 11, color: (200, 30, 30), noise: 1)
      let last = try session.last
      let best = try ImageClassifier(last, on: .reference).classify("\(folder)/a.png").best
      let explainer = try ImageExplainer(last, on: .reference)
      let image = try #require(try explainer.explain(["\(folder)/a.png"]).first)
      #expect(image.path == "\(folder)/a.png" && image.name == best.name && image.explanation.label == best.label)
      #expect(image.explanation.probability == best.probability)
      #expect(image.explanation.heat.height == 2 && image.explanation.heat.width == 2)
      let other = try #require(try explainer.explain(["\(folder)/a.png"], class: "\((best.label + 1) % 3)").first)
      #expect(other.explanation.label == (best.label + 1) % 3 && other.explanation.heat != image.explanation.heat)
      let failure = try #require(throws: Failure.self) { _ = try explainer.explain(["\(folder)/a.png"], class: "wasp") }
      #expect(failure.kind == .notFound && "\(failure)".contains("no class is called 'wasp'"))
    }
  }

  /// A run that was stopped and resumed ends in the same bits as one that was not.
  @Test func aRunWithAFolderIsResumed() throws {
    try withTemporaryFolder { folder in
      let whole = try session(folder: "\(folder)/whole")
      #expect(try whole.train { _ in })
      // The session ends before the run goes on, as it keeps others out of the folder.
      func stop() throws {
        let stopped = try session(folder: "\(folder)/stopped")
        var steps = 0
        #expect(
          try !stopped.train(
            shouldStop: {
              steps += 1
              return steps == 3
            }, report: { _ in }))
      }
      try stop()
      let resumed = try TrainingSession(resuming: "\(folder)/stopped", on: Self.images, device: .reference)
      #expect(try resumed.train { _ in })
      func weights(_ run: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(run)/last.safetensors"))
      }
      #expect(try weights("whole") == weights("stopped"))
    }
  }

  /// A run that is recorded ends in the same bits as one that is not, and a resumed run goes on with the record.
  @Test func aRunIsRecordedForTensorBoard() throws {
    try withTemporaryFolder { folder in
      try session(folder: "\(folder)/plain").train()
      let path = "\(folder)/recorded"
      func files() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasPrefix("events.out.tfevents.") }
      }
      func stop() throws {
        let stopped = try session(folder: path)
        let log = try TensorBoardLog(stopped)
        var epochs = 0
        func report(_ event: TrainingEvent) {
          log.record(event)
          if case .epoch = event { epochs += 1 }
        }
        #expect(try !stopped.train(shouldStop: { epochs == 1 }, report: report))
      }
      try stop()
      #expect(try files().count == 1)
      let resumed = try TrainingSession(resuming: path, on: Self.images, device: .reference)
      let log = try TensorBoardLog(resumed)
      #expect(try resumed.train(report: log.record))
      try log.end()
      #expect(try files().count == 2)
      func weights(_ run: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(run)/last.safetensors"))
      }
      #expect(try weights("plain") == weights("recorded"))
    }
    #expect(throws: Failure.self) { _ = try TensorBoardLog(session()) }
  }

  @Test func oneCycleGoesUpAndDown() throws {
    let session = try TrainingSession("resnet8", on: Self.images, device: .reference) { run in
      (run.epochs, run.batchSize, run.schedule) = (5, 8, .oneCycle)
    }
    var rates: [Double] = []
    try session.train { if case .epoch(let epoch) = $0 { rates.append(epoch.learningRate) } }
    let schedule = Schedule(.oneCycle, peak: 0.1, totalSteps: 10)
    #expect(rates == [1, 3, 5, 7, 9].map(schedule.rate))
  }

  @Test func settingsFollowTheOptimizer() throws {
    func settings(_ configure: (inout RunConfiguration) -> Void) throws -> RunConfiguration {
      try TrainingSession("resnet8", on: Self.images, device: .reference, configure: configure).configuration
    }
    let usual = try settings { _ in }
    #expect(usual.optimizer == .sgd(learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4) && usual.warmupEpochs == 1)
    let adamW = try settings { $0.use(.adamW) }
    #expect(adamW.optimizer == .adamW(learningRate: 1e-3, weightDecay: 1e-2) && adamW.optimizer.momentum == nil)
    let own = try settings {
      $0.optimizer = .adamW(learningRate: 0.02)
      $0.epochs = 4
    }
    #expect(own.optimizer == .adamW(learningRate: 0.02, weightDecay: 1e-2) && own.warmupEpochs == 0.4)
    #expect(try settings { $0.schedule = .oneCycle }.warmupEpochs == 0)
    // Trained weights would be lost at the rate for random ones.
    var tuned = usual
    tuned.initialWeights = "weights.pth"
    tuned.use(.adamW)
    #expect(tuned.optimizer == .adamW(learningRate: 1e-4))
  }
}
