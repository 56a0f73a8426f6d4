import Compute
import Datasets
import Foundation
import Images
import Models
import NN
import Support
import Testing
import Training

/// Tests the forms of `config.json`. The files in `Fixtures/config` are from runs of the program before the form had a version.
@Suite struct ConfigurationTests {
  /// Reads a configuration as the file of a run.
  private func read(_ text: String) throws -> RunConfiguration {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("resnet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: folder) }
    try Data(text.utf8).write(to: folder.appendingPathComponent("config.json"))
    return try RunFolder(existing: folder.path).configuration()
  }

  private func text(_ name: String) throws -> String {
    let file = try #require(Bundle.module.url(forResource: "Fixtures/config/\(name)", withExtension: "json"))
    return try String(contentsOf: file, encoding: .utf8)
  }

  private func message(_ text: String) throws -> String {
    try #require(#expect(throws: Failure.self) { _ = try read(text) }).description
  }

  /// `train --dataset cifar10 --data cifar --model resnet8 --batch-size 16 --epochs 3 --seed 5`
  private static let memory: RunConfiguration = {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 10), dataset: "cifar10")
    run.data.path = "/data/cifar"
    (run.epochs, run.batchSize, run.warmupEpochs, run.seed) = (3, 16, 0.3, 5)
    run.augmentation = Augmentation(crop: .padded(pixels: 4), flip: true)
    return run
  }()

  /// `train --dataset folder --data photos --model resnet8 --image-size 24 --batch-size 6 --epochs 3 --damaged skip
  /// --crop-fraction 0.9 --interpolation bicubic --random-erasing 0.25 --color-jitter 0.4,0.3,0.2,0.1 --recompute
  /// --schedule step`
  private static let photographs: RunConfiguration = {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3), dataset: "folder")
    run.data.path = "/data/photos"
    run.data.photographs = PhotographSettings(
      imageSize: 24, evaluation: EvaluationRecipe(cropFraction: 0.9, interpolation: .bicubic), damaged: .skip)
    (run.epochs, run.batchSize, run.warmupEpochs, run.schedule, run.recompute) = (3, 6, 0.3, .step, true)
    run.augmentation = Augmentation(crop: .randomResized(), flip: true)
    run.augmentation.colorJitter = ColorJitter(brightness: 0.4, contrast: 0.3, saturation: 0.2, hue: 0.1)
    run.augmentation.randomErasing = RandomErasing(probability: 0.25)
    return run
  }()

  /// `train --dataset cifar10 --data cifar --model resnet8 --shortcut B --batch-size 16 --epochs 3 --optimizer adamw
  /// --freeze conv1 --freeze layer1 --learning-rate-scale fc=3 --ema 0.9 --accumulate 2 --clip-norm 1 --precision bf16
  /// --trivial-augment --mixup 0.2 --cutmix 1 --label-smoothing 0.1 --limit-train 160 --no-shuffle --warmup-epochs 0.5`
  private static let fineTuning: RunConfiguration = {
    var run = RunConfiguration(
      model: ModelConfiguration(name: "resnet8", classes: 10, shortcut: .projection), dataset: "cifar10")
    (run.data.path, run.data.limitTrain, run.shuffle) = ("/data/cifar", 160, false)
    (run.epochs, run.batchSize, run.warmupEpochs, run.accumulate) = (3, 16, 0.5, 2)
    (run.optimizer, run.clipNorm, run.averageDecay) = (.adamW(learningRate: 1e-3, weightDecay: 1e-2), 1, 0.9)
    (run.frozen, run.learningRateScales) = (["conv1", "layer1"], [Optimizer.RateScale(prefix: "fc", factor: 3)])
    (run.precision, run.labelSmoothing) = (.bf16, 0.1)
    run.augmentation.trivialAugment = true
    run.augmentation.mixing = BatchMixing(mixup: 0.2, cutmix: 1)
    (run.augmentation.crop, run.augmentation.flip) = (.padded(pixels: 4), true)
    return run
  }()

  @Test(arguments: [
    ("memory", memory, "97488846890d2be5 259a174e65d762ee"), ("photographs", photographs, "377d177fa928b99b a54c0df830384481"),
    ("fine-tuning", fineTuning, "97488846890d2be5 259a174e65d762ee"),
  ])
  func theFirstFormIsRead(_ name: String, _ expected: RunConfiguration, _ checksums: String) throws {
    let found = try read(text(name))
    let contents = try #require(found.data.contents)
    #expect("\(contents.train.checksum) \(contents.validation.checksum)" == checksums)
    var expected = expected
    expected.data.contents = contents
    #expect(found == expected)
    // A run writes its configuration anew, in the present form.
    let written = String(decoding: try JSONEncoder().encode(found), as: UTF8.self)
    #expect(written.contains("\"version\":\(RunConfiguration.currentVersion)"))
    #expect(try read(written) == expected)
  }

  /// A run from before classes had weights, and from before there were samplings, patience and shares to validate on:
  /// `train --dataset synthetic --model resnet8 --batch-size 16 --epochs 3 --limit-train 64 --max-steps 1 --label-smoothing 0.1
  /// --seed 5`
  @Test func theSecondFormIsReadWithoutLaterSettings() throws {
    let found = try read(text("second"))
    var expected = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 10, channels: 3), dataset: "synthetic")
    (expected.batchSize, expected.epochs, expected.warmupEpochs, expected.maxSteps) = (16, 3, 0.3, 1)
    (expected.data.limitTrain, expected.labelSmoothing, expected.seed) = (64, 0.1, 5)
    expected.data.contents = found.data.contents
    #expect(found == expected && found.data.contents?.train.count == 2048)
    #expect(found.classWeights == nil && found.sampling == nil && found.watch == nil && found.patience == nil)
    #expect(found.data.limitValidation == nil && found.data.validationShare == nil)
  }

  /// Writes settings that version 2 may leave out, and reads them again.
  @Test(arguments: [ClassWeights.balanced, .values([0.5, 2])]) func laterSettingsAreKept(_ weights: ClassWeights) throws {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 2), dataset: "tensors")
    (run.classWeights, run.sampling, run.watch, run.patience) = (weights, .balanced, .loss, 4)
    (run.data.limitValidation, run.data.validationShare) = (7, ValidationShare(0.25, seed: 3))
    run.augmentation.flipRule = .alternate
    (run.stochasticDepth, run.lookahead, run.biasRateScale, run.resizeFrom) = (0.25, 5, 64, 16)
    #expect(try read(String(decoding: try JSONEncoder().encode(run), as: UTF8.self)) == run)
  }

  /// The first form left out what did not apply, and what was not yet known.
  @Test func theOldestValuesAreRead() throws {
    let oldest = """
      {"model": {"name": "resnet20", "classes": 10, "channels": 3, "stridePlacement": "v1.5", "zeroInitLastBatchNorm": false},
      "dataset": "folder", "epochs": 10, "batchSize": 128, "learningRate": 0.1, "momentum": 0.8, "nesterov": true,
      "weightDecay": 0.0005, "schedule": "cosine", "warmupEpochs": 1, "labelSmoothing": 0, "shuffle": true, "seed": 0}
      """
    var expected = RunConfiguration(model: ModelConfiguration(name: "resnet20", classes: 10), dataset: "folder")
    expected.data.photographs = PhotographSettings(imageSize: 224)
    expected.optimizer = .sgd(momentum: 0.8, nesterov: true)
    #expect(try read(oldest) == expected)
    let lars = oldest.replacing("\"dataset\"", with: "\"optimizer\": \"lars\", \"shares\": [1, 3], \"dataset\"")
    (expected.optimizer, expected.shares) = (.lars(learningRate: 0.1, momentum: 0.8, nesterov: true), [1, 3])
    #expect(try read(lars) == expected)
    let unlike = oldest.replacing(
      "\"dataset\"",
      with:
        "\"imageSize\": 32, \"randomCrop\": {\"size\": 64, \"scale\": [0.1, 1], \"ratio\": [1, 1], \"flip\": true}, \"dataset\"")
    #expect(try message(unlike).contains("config.json is damaged, at 'randomCrop'"))
  }

  /// Checks the first form's runs that took crops of photographs without a border. They are random along the longer side, and
  /// mirrored.
  @Test func cropsWithoutABorderStayRandom() throws {
    var fields = try #require(try JSONSerialization.jsonObject(with: Data(text("photographs").utf8)) as? [String: Any])
    fields["randomCrop"] = nil
    func augmentation(flip: Bool) throws -> Augmentation {
      fields["augmentation"] = ["padding": 0, "flip": flip] as [String: Any]
      return try read(String(decoding: JSONSerialization.data(withJSONObject: fields), as: UTF8.self)).augmentation
    }
    #expect(try augmentation(flip: true) == Augmentation(crop: .padded(pixels: 0)))
    #expect(try augmentation(flip: false) == .none)
  }

  @Test func aLaterFormIsRefused() throws {
    let newer = "{\"version\": \(RunConfiguration.currentVersion + 1), \"network\": {}}"
    let failure = try #require(#expect(throws: Failure.self) { _ = try read(newer) })
    #expect(failure.kind == .unsupported)
    #expect(failure.description.contains("config.json: a newer version of this program wrote it: its form is 3"))
    #expect(failure.description.hasSuffix(": go on with that version of the program, or begin a new run"))
    #expect(try message("{\"version\": \"two\"}").contains("damaged, at 'version'"))
    #expect(try message("{\"version\": 0}").contains("damaged, at 'version'"))
    #expect(try message("{\"version\": 2}").contains("damaged, at 'model'"))
    #expect(try message("version 2").contains("it is no JSON"))
  }

  /// Crops of random size need images that come in all sizes.
  @Test func cropsNeedPhotographs() throws {
    var run = Self.memory
    run.augmentation.crop = .randomResized()
    #expect(throws: Failure.self) { try run.validate() }
    run.data.photographs = PhotographSettings(imageSize: 32)
    try run.validate()
    #expect(run.randomCrop == RandomResizedCrop(size: 32, flip: true))
    run.augmentation.flipRule = .alternate
    #expect(run.randomCrop?.flipRule == .alternate)
    run.augmentation.crop = .randomResized(scale: 0...1)
    #expect(throws: Failure.self) { try run.validate() }
  }

  @Test func stochasticDepthNeedsShortcuts() throws {
    var run = Self.memory
    run.stochasticDepth = 0.5
    try run.validate()
    #expect(run.trainingOptions.skipsBlocks)
    for probability in [1, -0.1, .nan] {
      run.stochasticDepth = probability
      #expect(#expect(throws: Failure.self) { try run.validate() }?.description.contains("at least 0 and below 1") == true)
    }
    (run.stochasticDepth, run.model) = (0.5, ModelConfiguration(name: "plain20", classes: 10))
    #expect(#expect(throws: Failure.self) { try run.validate() }?.description.contains("plain20 has no shortcuts") == true)
  }

  @Test func optimizersCarryWhatAppliesToThem() throws {
    var run = Self.memory
    run.optimizer = .adamW(learningRate: 1e-3)
    #expect(run.trainingOptions.optimizer.kind == .adamW && run.optimizer.momentum == nil)
    run.optimizer.momentum = 0.9
    #expect(#expect(throws: Failure.self) { try run.validate() }?.description.contains("AdamW has none") == true)
    run.optimizer = .sgd(momentum: 0, nesterov: true)
    #expect(#expect(throws: Failure.self) { try run.validate() }?.description.contains("nesterov needs a momentum") == true)
  }
}
