import CPUBackend
import Checkpoints
import Compute
import Datasets
import Formats
import Foundation
import Images
import Models
import NN
import OpenCLBackend
import Support
import TestSupport
import Testing
import Training

/// Tests the trainer with a small network on small synthetic images: this takes seconds and covers every path.
@Suite struct TrainerTests {
  let splits = SyntheticImages(seed: 3, count: 96, validationCount: 40, classes: 4, size: 16, channels: 3).splits()
  private let temporary: TemporaryFolder
  var folder: String { temporary.path }

  init() throws { temporary = try TemporaryFolder() }

  var configuration: RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 4, channels: 3), dataset: "synthetic")
    run.epochs = 3
    run.batchSize = 16
    run.augmentation = Augmentation(crop: .padded(pixels: 2))
    run.seed = 7
    return run
  }

  func device() throws -> OpenCLBackend { try OpenCLBackend(device: DeviceList.find("opencl").device) }

  func trainer(
    _ name: String, _ run: RunConfiguration, on backend: (any Backend)? = nil, resuming: Bool = false, logEvery: Int = 1
  ) throws -> Trainer {
    let path = "\(folder)/\(name)"
    return try Trainer(
      run, splits, on: try backend ?? device(),
      folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path), resuming: resuming, logEvery: logEvery)
  }

  /// Expects a saved configuration to be the requested one, plus the contents by which the run recognizes its images.
  func expect(_ kept: RunConfiguration, is asked: RunConfiguration) throws {
    let contents = try #require(kept.data.contents)
    #expect(contents.train.count == 96 && contents.validation.count == 40)
    var expected = asked
    (expected.data.contents, expected.files) = (contents, RunFileSettings(logEvery: 1))
    #expect(kept == expected)
  }

  func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

  @Test func learnsAndKeepsItsFiles() throws {
    let trainer = try trainer("a", configuration)
    var events: [TrainingEvent] = []
    #expect(try trainer.run(report: { events.append($0) }) == .finished)
    let epochs = events.compactMap { if case .epoch(let record) = $0 { record } else { nil } }
    #expect(epochs.map(\.epoch) == [1, 2, 3])
    #expect(epochs[2].loss < epochs[0].loss)
    #expect(epochs[2].validationAccuracy > 0.5)

    let lines = try String(contentsOfFile: trainer.folder!.metricsPath, encoding: .utf8).split(separator: "\n")
    #expect(lines.count == 18 + 3)
    let step = try JSON(parsing: Array(lines[0].utf8))
    #expect(step["kind"] == .string("step"))
    for key in ["epoch", "step", "loss", "accuracy", "learning_rate", "images_per_second"] { #expect(step[key] != nil, "\(key)") }
    let last = try JSON(parsing: Array(try #require(lines.last).utf8))
    #expect(last["kind"] == .string("epoch"))
    for key in ["validation_loss", "validation_accuracy"] { #expect(last[key] != nil, "\(key)") }

    let weights = try Weights(contentsOf: trainer.folder!.lastPath)
    #expect(weights.description?.model == configuration.model)
    #expect(weights.tensors["layer1.0.conv1.weight"]?.shape == [16, 16, 3, 3])
    #expect(FileManager.default.fileExists(atPath: trainer.folder!.bestPath))
    try expect(trainer.folder!.configuration(), is: configuration)
  }

  /// Checks that two halves of a batch give the gradients of the whole batch if no statistics depend on the batch.
  @Test func accumulatedGradientsAreThoseOfLargerBatches() throws {
    var run = configuration
    run.epochs = 1
    run.augmentation = .none
    run.frozen = ["conv1", "bn1", "layer1", "layer2", "layer3"]
    let large = try trainer("large", run)
    _ = try large.run()
    (run.batchSize, run.accumulate) = (8, 2)
    let small = try trainer("small", run)
    _ = try small.run()
    let name = "fc.weight"
    let (a, b) = try (Weights(contentsOf: large.folder!.lastPath), Weights(contentsOf: small.folder!.lastPath))
    let (x, y) = (try #require(a.tensors[name]).floats, try #require(b.tensors[name]).floats)
    #expect(zip(x, y).allSatisfy { abs($0 - $1) < 1e-5 })
    #expect(a.tensors["layer3.0.bn1.running_mean"] == b.tensors["layer3.0.bn1.running_mean"])
  }

  /// Checks that weights for another number of classes are used except for the last layer, and that the trainer says so.
  @Test func weightsForOtherClassesLoseTheirLastLayer() throws {
    let first = try trainer("a", configuration)
    _ = try first.run()
    var run = configuration
    run.model.classes = 9
    run.initialWeights = first.folder!.lastPath
    let second = try trainer("b", run)
    #expect(second.notes.count == 1 && second.notes[0].contains("4 classes") && second.notes[0].contains("9 classes"))
    let (old, new) = (try Weights(contentsOf: first.folder!.lastPath).tensors, try second.model.store.stateDictionary())
    for (name, tensor) in new where !name.hasPrefix("fc.") { #expect(old[name] == tensor, "\(name)") }
  }

  /// Uses as many classes with other names: a layer that distinguishes ants from bees does not distinguish lions from tigers.
  @Test func aLastLayerForOtherNamesStartsAnew() throws {
    func named(_ names: [String], areNames: Bool = true) -> DatasetSplits {
      func dataset(_ known: Dataset) -> Dataset {
        Dataset(
          name: known.name, images: known.images, labels: known.labels, classes: names, namesClasses: areNames,
          normalization: known.normalization)
      }
      return DatasetSplits(train: dataset(splits.train), validation: dataset(splits.validation))
    }
    let animals = ["ant", "bee", "cat", "dog"]
    var run = configuration
    (run.epochs, run.maxSteps) = (1, 2)
    let first = try Trainer(run, named(animals), on: device(), folder: RunFolder(creating: "\(folder)/a"))
    _ = try first.run()
    run.initialWeights = first.folder!.lastPath
    let old = try Weights(contentsOf: first.folder!.lastPath).tensors
    let numbers = ["0", "1", "2", "3"]
    for (path, names, areNames, isTaken) in [
      ("same", animals, true, true), ("nameless", numbers, false, true), ("numbers", numbers, true, false),
      ("others", ["ant", "bee", "cat", "eel"], true, false), ("turned", ["bee", "ant", "cat", "dog"], true, false),
    ] {
      let data = named(names, areNames: areNames)
      let second = try Trainer(run, data, on: device(), folder: RunFolder(creating: "\(folder)/\(path)"))
      let new = Dictionary(uniqueKeysWithValues: try second.model.store.stateDictionary().map { ($0.name, $0.tensor) })
      #expect((new["fc.weight"] == old["fc.weight"]) == isTaken && new["conv1.weight"] == old["conv1.weight"], "\(path)")
      #expect(second.notes.count == (isTaken ? 0 : 1), "\(second.notes)")
      if !isTaken { #expect(second.notes[0].contains("fc, starts anew") && second.notes[0].contains("ant, bee, cat, …")) }
    }
    // Weights without names fit any classes of their number. For numbers as names, a note states the order.
    try Safetensors.write(old.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, metadata: [:], to: "\(folder)/bare")
    var bare = run
    bare.initialWeights = "\(folder)/bare"
    for (names, says) in [(animals, ""), (["0", "1", "10", "2"], "in the order of their names as text, 0, 1, 10, 2")] {
      let third = try Trainer(bare, named(names), on: device(), folder: RunFolder(creating: "\(folder)/bare-\(says.count)"))
      #expect(third.notes.isEmpty == says.isEmpty && third.notes.allSatisfy { $0.contains(says) }, "\(third.notes)")
      let tensors = try third.model.store.stateDictionary()
      #expect(tensors.first { $0.name == "fc.weight" }?.tensor == old["fc.weight"])
    }
    // A frozen new layer would keep its random initial weights.
    run.frozen = ["fc"]
    do {
      _ = try Trainer(run, named(animals.reversed()), on: device(), folder: RunFolder(creating: "\(folder)/frozen"))
      Issue.record("a last layer that starts anew was frozen")
    } catch let failure as Failure { #expect(failure.description.contains("frozen fc")) }
  }

  @Test func imagesThatFillNoBatchAreCounted() throws {
    var run = configuration
    run.batchSize = 64
    let trainer = try trainer("a", run)
    #expect(trainer.stepsPerEpoch == 1)
    #expect(trainer.notes == ["32 of the 96 images fill no batch of 64 and are left out of each epoch, others each time"])
    run.batchSize = 19  // One image is left over.
    #expect(try self.trainer("b", run).notes.isEmpty)
    run.frozen = ["conv1", "layer1"]
    let moving = 3 * 3 * 3 * 16 + 2 * 9 * 16 * 16 + 2 * 32
    let frozen = try self.trainer("c", run)
    #expect(
      frozen.notes == [
        "frozen: conv1, layer1; \(grouped(frozen.model.store.parameterCount - moving)) of the parameters are trained"
      ])
  }

  /// Checks that a loss that is scaled until gradients overflow makes no step, and that such steps are counted.
  @Test func stepsThatAreLeftOutAreCounted() throws {
    var run = configuration
    (run.maxSteps, run.precision, run.initialWeights) = (3, .fp16, "\(folder)/large.safetensors")
    let first = try trainer("a", configuration)
    #expect(try first.skippedSteps() == 0)
    let tensors = try first.model.store.stateDictionary().map { name, tensor in
      (name, name == "fc.weight" ? HostTensor(tensor.floats.map { $0 * 3000 }, shape: tensor.shape) : tensor)
    }
    try Safetensors.write(tensors, metadata: [:], to: "\(folder)/large.safetensors")
    let trainer = try trainer("b", run)
    _ = try trainer.run()
    #expect(try trainer.skippedSteps() == 3)
  }

  @Test func sameSeedGivesTheSameBits() throws {
    var files: [Data] = []
    for name in ["a", "b"] {
      let trainer = try trainer(name, configuration)
      _ = try trainer.run()
      files.append(try contents(trainer.folder!.lastPath))
    }
    #expect(files[0] == files[1])
    var other = configuration
    other.seed = 8
    let trainer = try trainer("c", other)
    _ = try trainer.run()
    #expect(try contents(trainer.folder!.lastPath) != files[0])
  }

  /// Checks that recomputing activations changes no bit, and that a resumed run still recomputes them.
  @Test(arguments: [("resnet8", ShortcutOption?.none), ("resnet8", .projection), ("plain8", nil)])
  func recomputingGivesTheSameBits(name: String, shortcut: ShortcutOption?) throws {
    var run = configuration
    (run.model.name, run.model.shortcut, run.epochs) = (name, shortcut, 2)
    let kept = try trainer("kept", run)
    _ = try kept.run()
    run.recompute = true
    _ = try stop(trainer("cut", run), after: 4)
    let resumed = try trainer("cut", RunFolder(existing: "\(folder)/cut").configuration(), resuming: true)
    #expect(resumed.configuration.recompute == true)
    #expect(try resumed.run() == .finished)
    #expect(try contents(kept.folder!.lastPath) == contents(resumed.folder!.lastPath))
  }

  /// Checks that losses with 16-bit storage stay near those of float32, and that a resumed run, loss scale included, ends
  /// with the same bits.
  @Test(arguments: [Precision.fp16, .bf16], ["resnet8", "resnet18"])
  func activationsOfSixteenBitsTrain(precision: Precision, name: String) throws {
    var run = configuration
    (run.model.name, run.epochs, run.optimizer.learningRate) = (name, 2, 0.02)
    var losses: [[Double]] = []
    for (path, kind) in [("whole", precision), ("exact", .fp32)] {
      run.precision = kind
      var values: [Double] = []
      let ending = try trainer(path, run).run(report: { if case .step(let record) = $0 { values.append(record.loss) } })
      #expect(ending == .finished)
      losses.append(values)
    }
    #expect(losses[0] != losses[1])
    // The first step differs only by the rounding of activations, a few units of the type's roundoff in each layer.
    let roundoff = precision.storage(on: CPUBackend()).roundoff
    #expect(abs(losses[0][0] - losses[1][0]) < 8 * roundoff * losses[1][0])
    // Runs of ResNet-18, whose last stage has a single pixel here, drift apart after any rounding difference.
    let ends = losses.map { $0.suffix(3).reduce(0, +) }
    if name == "resnet8" { #expect(abs(ends[0] - ends[1]) < 0.3) }

    run.precision = precision
    _ = try stop(trainer("cut", run), after: 4)
    let resumed = try trainer("cut", RunFolder(existing: "\(folder)/cut").configuration(), resuming: true)
    #expect(resumed.configuration.precision == precision)
    #expect(try resumed.run() == .finished)
    #expect(try contents(RunFolder(existing: "\(folder)/whole").statePath) == contents(resumed.folder!.statePath))
  }

  @Test func twoTrainersCannotShareAFolder() throws {
    let first = try trainer("a", configuration)
    #expect(throws: Failure.self) { try self.trainer("a", self.configuration) }
    _ = first.step
  }

  @Test(arguments: BlockNormalization.allCases) func openCLFollowsTheReference(_ normalization: BlockNormalization) throws {
    var run = configuration
    run.model.normalization = normalization
    run.maxSteps = 4
    run.optimizer.learningRate = 0.01
    var losses: [[Double]] = []
    for (name, backend) in [("opencl", try device() as any Backend), ("cpu", CPUBackend())] {
      var values: [Double] = []
      _ = try trainer(name, run, on: backend).run(report: { if case .step(let record) = $0 { values.append(record.loss) } })
      losses.append(values)
    }
    #expect(losses[0].count == 4)
    for (a, b) in zip(losses[0], losses[1]) { #expect(abs(a - b) <= 1e-5 * b) }
  }

  @Test func divergenceIsReportedAndSavesNothing() throws {
    var run = configuration
    run.optimizer.learningRate = 1e30
    run.warmupEpochs = 0
    run.epochs = 1
    let trainer = try trainer("a", run)
    do {
      _ = try trainer.run()
      Issue.record("a rate of 1e30 did not diverge")
    } catch let failure as Failure where failure.kind == .diverged {
      #expect(failure.description.contains("a lower learningRate"))
    }
    #expect(!FileManager.default.fileExists(atPath: trainer.folder!.lastPath))
  }

  @Test func takenFolderIsRefused() throws {
    // Nothing has been saved yet, so nothing can be lost.
    for _ in 0..<2 { _ = try RunFolder(creating: "\(folder)/a") }
    _ = try stop(trainer("a", configuration), after: 1)
    #expect(throws: Failure.self) { try RunFolder(creating: "\(folder)/a") }
  }

  @Test func initialWeightsAreTaken() throws {
    let first = try trainer("a", configuration)
    _ = try first.run()
    var run = configuration
    run.initialWeights = first.folder!.lastPath
    run.optimizer.learningRate = 0
    run.optimizer.weightDecay = 0
    run.seed = 99
    run.maxSteps = 1
    let second = try trainer("b", run)
    _ = try second.run()
    let (a, b) = (try Weights(contentsOf: first.folder!.lastPath), try Weights(contentsOf: second.folder!.lastPath))
    #expect(a.tensors["fc.weight"] == b.tensors["fc.weight"])
    run.model.name = "resnet14"
    do {
      _ = try trainer("c", run)
      Issue.record("the weights of another model were taken")
    } catch let failure as Failure {
      #expect(failure.description.contains("layer1.1.conv1.weight") && failure.description.contains("last.safetensors"))
    }
  }
}
