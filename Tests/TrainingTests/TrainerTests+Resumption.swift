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

/// Tests that a run that was stopped ends in the same bits as one that was not.
extension TrainerTests {
  /// Uses all kinds of randomness: on the device, and on the host if colors change.
  @Test(arguments: [false, true]) func augmentedRunsGoOnInTheSameBits(_ changesColors: Bool) throws {
    let backend = try device()
    var run = configuration
    run.labelSmoothing = 0.1
    run.augmentation.randomErasing = RandomErasing(probability: 0.5)
    run.augmentation.mixing = BatchMixing(mixup: 0.4, cutmix: 1)
    run.augmentation.flipRule = .alternate
    if changesColors {
      run.augmentation.colorJitter = ColorJitter(brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1)
      run.augmentation.trivialAugment = true
    }
    let whole = try trainer("whole", run, on: backend)
    var records: [EpochRecord] = []
    #expect(try whole.run(report: { if case .epoch(let record) = $0 { records.append(record) } }) == .finished)
    // Correct counts are weighted by the labels' shares, so they do not exceed the number of images.
    #expect(records.allSatisfy { $0.accuracy > 0 && $0.accuracy < 1 } && records[2].loss < records[0].loss)
    do {
      let cut = try trainer("cut", run, on: backend)
      #expect(try cut.run(shouldStop: { cut.step >= 8 }) == .stopped)
    }
    let kept = try RunFolder(existing: "\(folder)/cut").configuration()
    try expect(kept, is: run)
    let resumed = try trainer("cut", kept, on: backend, resuming: true)
    #expect(try resumed.run() == .finished)
    #expect(try contents(whole.folder!.lastPath) == contents(resumed.folder!.lastPath))
  }

  /// Tests every optimizer, with an average of the weights, gradients of two batches per step, and layers that are frozen
  /// or learn slowly.
  @Test(arguments: Optimizer.Kind.allCases) func fineTuningGoesOnInTheSameBits(optimizer: Optimizer.Kind) throws {
    var run = configuration
    run.epochs = 2
    run.optimizer = .usual(optimizer)
    run.optimizer.learningRate = optimizer == .lars ? 5 : 0.01
    run.accumulate = 2
    run.clipNorm = 1
    run.averageDecay = 0.9
    run.lookahead = 2
    run.biasRateScale = 4
    run.frozen = ["conv1", "layer1"]
    run.learningRateScales = [Optimizer.RateScale(prefix: "fc", factor: 3)]
    let whole = try trainer("whole", run)
    #expect(whole.stepsPerEpoch == 3 && whole.totalSteps == 6)
    #expect(try whole.run() == .finished)
    var asked = 0
    #expect(
      try trainer("halves", run).run(shouldStop: {
        asked += 1
        return asked == 3
      }) == .stopped)
    let halves = try trainer("halves", run, resuming: true)
    #expect(try halves.run() == .finished)
    #expect(try contents(halves.folder!.lastPath) == contents(whole.folder!.lastPath))
    #expect(try contents(halves.folder!.statePath) == contents(whole.folder!.statePath))
    // The weights that are saved for use are the average, which differs from the trained weights.
    let (average, state) = (try Weights(contentsOf: whole.folder!.lastPath), try Safetensors.read(whole.folder!.statePath))
    #expect(average.tensors["fc.weight"] == state.tensors["average.fc.weight"])
    #expect(average.tensors["fc.weight"] != state.tensors["fc.weight"])
  }

  /// Checks that an epoch ends with the slow weights, also if it is no multiple of the steps between their moves.
  @Test func slowWeightsAreSaved() throws {
    var run = configuration
    (run.epochs, run.lookahead) = (1, 4)
    let ahead = try trainer("ahead", run)
    #expect(try ahead.run() == .finished)
    let state = try Safetensors.read(ahead.folder!.statePath)
    let saved = try Weights(contentsOf: ahead.folder!.lastPath)
    #expect(saved.tensors.allSatisfy { name, tensor in state.tensors["slow.\(name)"].map { $0 == tensor } ?? true })
    #expect(state.tensors["slow.fc.weight"] == state.tensors["fc.weight"])
    run.lookahead = nil
    let plain = try trainer("plain", run)
    #expect(try plain.run() == .finished)
    #expect(try contents(plain.folder!.lastPath) != contents(ahead.folder!.lastPath))
  }

  /// Checks that the saved weights of a run that skips blocks are those for evaluation, and that it is resumed with the same
  /// draws, in the middle of an epoch.
  @Test func runsThatSkipBlocksGoOnInTheSameBits() throws {
    var run = configuration
    (run.epochs, run.accumulate, run.stochasticDepth) = (2, 2, 0.5)
    let whole = try trainer("whole", run)
    #expect(try whole.run() == .finished)
    _ = try stop(trainer("cut", run), after: 2)
    let cut = try trainer("cut", RunFolder(existing: "\(folder)/cut").configuration(), resuming: true)
    #expect(cut.step == 2 && cut.configuration.stochasticDepth == 0.5)
    #expect(try cut.run() == .finished)
    for path in [\RunFolder.lastPath, \.statePath] {
      #expect(try contents(whole.folder![keyPath: path]) == contents(cut.folder![keyPath: path]))
    }
    let (saved, state) = (try Weights(contentsOf: whole.folder!.lastPath), try Safetensors.read(whole.folder!.statePath))
    for (name, factor) in [("layer1.0.bn2.weight", 5 / 6.0), ("layer3.0.bn2.bias", 0.5), ("layer3.0.bn1.weight", 1)] {
      let (value, trained) = (try #require(saved.tensors[name]).floats, try #require(state.tensors[name]).floats)
      #expect(zip(value, trained).allSatisfy { abs($0 - Float(factor) * $1) <= 1e-6 * abs($1) }, "\(name)")
    }
    // The blocks that are skipped differ from run to run.
    run.stochasticDepth = 0
    let plain = try trainer("plain", run)
    #expect(try plain.run() == .finished)
    #expect(try contents(plain.folder!.lastPath) != contents(whole.folder!.lastPath))
  }

  /// Stops in the middle of an epoch, at its end, and during validation.
  @Test(arguments: [0, 1, 4, 6, 7, 14])
  func resumedRunEndsInTheSameBits(stopAfter: Int) throws {
    let whole = try trainer("whole", configuration)
    _ = try whole.run()
    let stoppedAt = try stop(trainer("cut", configuration), after: stopAfter)
    let second = try trainer("cut", configuration, resuming: true)
    #expect(second.step == stoppedAt)
    #expect(try second.run() == .finished)
    for path in [\RunFolder.lastPath, \.bestPath, \.layersPath] {
      #expect(try contents(whole.folder![keyPath: path]) == contents(second.folder![keyPath: path]))
    }
    // The log contains every step once, with the same losses.
    let losses = try [whole, second].map { trainer in
      try String(contentsOfFile: trainer.folder!.metricsPath, encoding: .utf8).split(separator: "\n").map {
        let value = try JSON(parsing: Array($0.utf8))
        return [value["kind"], value["step"], value["loss"], value["validation_loss"]]
      }
    }
    #expect(losses[0] == losses[1])
  }

  /// Runs until `shouldStop` has been called `count` times. The trainer is released at the end of the call, and with it its
  /// lock on the folder.
  func stop(_ trainer: consuming Trainer, after count: Int) throws -> Int {
    var asked = 0
    let ending = try trainer.run(shouldStop: {
      asked += 1
      return asked > count
    })
    #expect(ending == .stopped)
    return trainer.step
  }

  /// Checks that a saved position is validated before it is used.
  @Test(arguments: [
    ("images", "9223372036854775807"), ("images", "-1"), ("hits", "1e300"), ("hits", "-1"), ("lossSum", "-0.5"),
    ("updates", "9223372036854775807"), ("updates", "-2"), ("bestAccuracy", "5"), ("epoch", "-1"), ("step", "-1"),
  ])
  func impossiblePositionsAreRefused(_ key: String, _ value: String) throws {
    var run = configuration
    run.optimizer = .adamW(learningRate: 0.1)
    run.files = RunFileSettings(keepStates: 1)
    _ = try stop(trainer("a", run), after: 9)
    let path = RunFolder(existing: "\(folder)/a").statePath
    let file = try Safetensors.read(path)
    let position = try #require(file.metadata["position"])
    let changed = position.replacing(try Regex("\"\(key)\":[^,}]*"), with: "\"\(key)\":\(value)")
    #expect(changed != position)
    let metadata = file.metadata.merging(["position": changed]) { $1 }
    try Safetensors.write(file.tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, metadata: metadata, to: path)
    do {
      _ = try trainer("a", run, resuming: true)
      Issue.record("\(key) \(value) was taken")
    } catch let failure as Failure { #expect(failure.description.contains(path)) }
  }

  /// Checks that neither the options nor the data may have changed since the run was saved.
  @Test func aSavedPositionMustFitTheRun() throws {
    _ = try stop(trainer("a", configuration), after: 9)
    var run = configuration
    run.batchSize = 3  // 32 steps per epoch instead of 6: step 9 is no longer in the second epoch.
    #expect(throws: Failure.self) { try self.trainer("a", run, resuming: true) }
    run = configuration
    run.model.classes = 3
    #expect(throws: Failure.self) { try self.trainer("a", run, resuming: true) }
    run = configuration
    run.model.channels = 1
    #expect(throws: Failure.self) { try self.trainer("a", run, resuming: true) }
  }
}
