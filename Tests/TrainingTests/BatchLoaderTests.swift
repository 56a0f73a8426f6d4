import CPUBackend
import Checkpoints
import Compute
import Datasets
import Foundation
import Images
import Models
import OpenCLBackend
import Support
import TestSupport
import Testing
import Training

@Suite struct BatchLoaderTests {
  private let temporary: TemporaryFolder
  private var folder: String { temporary.path }
  /// One device for each test, so that kernels are built once.
  private let device: OpenCLBackend

  init() throws {
    temporary = try TemporaryFolder()
    device = try OpenCLBackend(device: DeviceList.find("opencl").device)
  }

  private func open(damaged: DamagedImages = .fail) throws -> ImageSplits {
    try DatasetKind.folder.open(from: "\(folder)/data", imageSize: 16, damaged: damaged)
  }

  /// Checks that batches contain each image's transform, normalized, in the order of the plan, from any first batch on.
  @Test(arguments: [nil, RandomResizedCrop(size: 16)]) func batches(_ crop: RandomResizedCrop?) throws {
    try writePhotographs("\(folder)/data", train: 5, validation: 1)
    let photographs = try #require(try open().train as? PhotographDataset)
    let backend = CPUBackend()
    let source = try BatchLoader(photographs, crop: crop, on: backend)
    #expect(source.count == 15)
    let plan = EpochPlan(seed: 4, epoch: 3, count: 15, shuffle: true, augmentation: nil)
    let transform: any ImageTransform =
      crop.map { TrainingTransform($0, seed: 4, epoch: 3) } ?? EvaluationTransform(resize: 18, crop: 16)
    for first in [0, 2] {
      let epoch = try source.load(plan, batches: plan.batches(of: 4, keepShort: true), from: first)
      for index in first..<4 {
        let items = epoch.batches[index].map { photographs.items[plan.order[$0]] }
        let (x, labels) = try #require(try epoch.batch(index))
        #expect(try backend.download(labels).elements(as: Int32.self) == items.map(\.label))
        let expected = try items.flatMap { item in
          let image = try transform.apply(try EncodedImage(contentsOf: item.path), sample: item.sample)
          return Normalization.imageNet.applied(to: image.pixels)
        }
        let values = try backend.download(x).floats
        #expect(x.shape == [items.count, 16, 16, 3])
        #expect(zip(values, expected).allSatisfy { abs($0 - $1) < 1e-5 })
      }
    }
  }

  private func trainer(
    _ name: String, _ splits: ImageSplits, _ augmentation: Augmentation = Augmentation(crop: .randomResized()),
    batchSize: Int = 8, resuming: Bool = false,
    onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws -> Trainer {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 3), dataset: "folder")
    (run.epochs, run.batchSize, run.seed, run.optimizer.learningRate) = (3, batchSize, 7, 0.05)
    (run.data.photographs, run.augmentation) = (PhotographSettings(imageSize: 16), augmentation)
    let path = "\(folder)/\(name)"
    if resuming { run = try RunFolder(existing: path).configuration() }
    return try Trainer(
      run, splits, on: device,
      folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path), resuming: resuming, logEvery: 1,
      onDamage: onDamage)
  }

  private static let everything: Augmentation = {
    var all = Augmentation(crop: .randomResized())
    (all.colorJitter, all.trivialAugment) = (ColorJitter(brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.02), true)
    (all.randomErasing, all.mixing) = (RandomErasing(probability: 0.3), BatchMixing(mixup: 0.2, cutmix: 1))
    return all
  }()

  /// Checks that a run that is stopped within an epoch and resumed ends with the same bits as an uninterrupted one, and
  /// that it learns.
  @Test(arguments: [Augmentation(crop: .randomResized()), everything]) func trainsAndResumes(_ augmentation: Augmentation) throws
  {
    try writePhotographs("\(folder)/data", train: 16, validation: 4)
    let whole = try trainer("whole", try open(), augmentation)
    var accuracy = 0.0
    #expect(try whole.run(report: { if case .epoch(let record) = $0 { accuracy = record.validationAccuracy } }) == .finished)
    #expect(whole.totalSteps == 18 && accuracy > 0.6)
    #expect(try whole.folder!.configuration().augmentation == augmentation)

    do {  // A trainer owns the folder as long as it lives.
      let cut = try trainer("cut", try open(), augmentation)
      #expect(try cut.run(shouldStop: { cut.step >= 8 }) == .stopped)
    }
    let resumed = try trainer("cut", try open(), resuming: true)
    #expect(resumed.step == 8)
    #expect(try resumed.run() == .finished)
    func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
    #expect(try contents(whole.folder!.lastPath) == contents(resumed.folder!.lastPath))
  }

  @Test func damagedImages() throws {
    try writePhotographs("\(folder)/data", train: 8, validation: 2)
    try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/train/bee/3.png"))
    try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/bee/1.png"))
    let failure = #expect(throws: Failure.self) { _ = try trainer("fail", try open()).run() }
    #expect(failure?.description.contains("/train/bee/3.png: not an image") == true)

    var named: [String] = []
    let skipping = try trainer("skip", try open(damaged: .skip), onDamage: { named.append($0.description) })
    #expect(try skipping.run() == .finished)
    // Each image is reported once, whatever the number of epochs.
    #expect(named.count { $0.contains("/train/bee/3.png") } == 1 && named.count { $0.contains("/val/bee/1.png") } == 1)
    let validation = try BatchLoader(try open(damaged: .skip).validation, on: skipping.model.store.backend)
    #expect(try ResNetClassifier(skipping.model).measure(validation, batchSize: 4)?.images == 5)
  }

  /// Checks that a batch without any valid image is skipped, in training and evaluation. With batches of one image, every
  /// damaged image makes such a batch. The run goes on, also after a stop, and ends with the same bits.
  @Test func damagedBatches() throws {
    try writePhotographs("\(folder)/data", train: 2, validation: 2)
    for name in ["train/ant/0", "train/cat/1", "val/bee/0"] {
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/\(name).png"))
    }
    func run(_ name: String, until stop: Int? = nil, resuming: Bool = false) throws -> (Trainer.Ending, RunFolder, [Double]) {
      let trainer = try trainer(name, try open(damaged: .skip), Self.everything, batchSize: 1, resuming: resuming)
      var losses: [Double] = []
      let ending = try trainer.run(
        shouldStop: { stop.map { trainer.step >= $0 } ?? false },
        report: { if case .epoch(let epoch) = $0 { losses.append(epoch.loss) } })
      return (ending, trainer.folder!, losses)
    }
    let whole = try run("whole")
    #expect(whole.0 == .finished && whole.2.count == 3 && whole.2.allSatisfy(\.isFinite))
    #expect(try run("cut", until: 7).0 == .stopped)
    let resumed = try run("cut", resuming: true)
    #expect(resumed.0 == .finished)
    func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
    #expect(try contents(whole.1.lastPath) == contents(resumed.1.lastPath))

    // One of two images is left. Its 16 pixels in the last stage are enough for batch normalization.
    let pairs = try trainer("pairs", try open(damaged: .skip), batchSize: 2)
    #expect(try pairs.run() == .finished && pairs.passedOver == 0)

    for split in ["val", "train"] {
      for name in ["ant/0", "ant/1", "bee/0", "bee/1", "cat/0", "cat/1"] {
        try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/\(split)/\(name).png"))
      }
      let none = #expect(throws: Failure.self) { _ = try run("no \(split)") }
      let what = split == "val" ? "measure" : "train"
      #expect(none?.description == "none of the 6 images to \(what) on can be decoded: mend them")
    }
  }

  @Test func aFolderThatHasChangedIsNoticed() throws {
    try writePhotographs("\(folder)/data", train: 6, validation: 2)
    do {
      let cut = try trainer("cut", try open())
      #expect(try cut.run(shouldStop: { cut.step >= 1 }) == .stopped)
    }
    let (path, elsewhere) = ("\(folder)/data/train/bee/3.png", "\(folder)/data/train/bee/33.png")
    try FileManager.default.moveItem(atPath: path, toPath: elsewhere)
    func message() throws -> String? {
      #expect(throws: Failure.self) { _ = try trainer("cut", try open(), resuming: true) }?.description
    }
    #expect(
      try message()?.contains("has changed since the run began: some of the 18 images to train on have other names") == true)
    try FileManager.default.removeItem(atPath: elsewhere)
    #expect(try message()?.contains("17 images to train on, not 18") == true)
    // A run from before these contents were recorded can be resumed.
    let configuration = "\(folder)/cut/config.json"
    var fields = try #require(
      JSONSerialization.jsonObject(with: try Data(contentsOf: URL(fileURLWithPath: configuration))) as? [String: Any])
    var data = try #require(fields["data"] as? [String: Any])
    #expect(data.removeValue(forKey: "contents") != nil)
    fields["data"] = data
    try JSONSerialization.data(withJSONObject: fields).write(to: URL(fileURLWithPath: configuration))
    #expect(try message() != nil, "the state holds them, too")
    try makeEarlier(RunFolder(existing: "\(folder)/cut"))
    #expect(try trainer("cut", try open(), resuming: true).step == 1)
  }

  /// Checks that rows are samples and columns are epochs, after a first column without augmentation.
  @Test func contactSheet() throws {
    try writePhotographs("\(folder)/data", train: 5, validation: 1)
    let splits = try open()
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 3), dataset: "folder")
    (run.data.photographs, run.augmentation) = (PhotographSettings(imageSize: 16), Augmentation(crop: .randomResized()))
    let sheet = try ContactSheet(run, splits.train, samples: 4, epochs: 3, on: CPUBackend())
    // The tiles have 96 pixels, six for each pixel of the image, and four between them.
    #expect(sheet.image.height == 4 * 100 + 4 && sheet.image.width == 4 * 100 + 4)
    let photographs = try #require(splits.train.prefix(4) as? PhotographDataset)
    #expect(photographs.items.map(\.label) == [0, 1, 2, 0])
    for (row, item) in photographs.items.enumerated() {
      let image = try EncodedImage(contentsOf: item.path)
      let plain = try EvaluationTransform(resize: 18, crop: 16).apply(image, sample: item.sample)
      let columns =
        [plain]
        + (try (0..<3).map { epoch in
          try TrainingTransform(RandomResizedCrop(size: 16), seed: 0, epoch: epoch).apply(image, sample: item.sample)
        })
      for (column, expected) in columns.enumerated() {
        for (h, w) in [(0, 0), (3, 9), (15, 15)] {
          let at = ((4 + row * 100 + 6 * h) * sheet.image.width + 4 + column * 100 + 6 * w) * 3
          #expect(Array(sheet.image.pixels[at..<at + 3]) == Array(expected.pixels[(h * 16 + w) * 3..<(h * 16 + w) * 3 + 3]))
        }
      }
    }

    // Smaller images of early epochs have the size of whole ones.
    (run.resizeFrom, run.augmentation, run.epochs) = (8, .none, 2)
    let growing = try ContactSheet(run, splits.train, samples: 4, epochs: 2, on: CPUBackend()).image
    #expect(growing.width == 3 * 100 + 4)
    func tile(_ column: Int) -> [ArraySlice<UInt8>] {
      (4..<100).map { y in
        growing.pixels[(y * growing.width + 4 + column * 100) * 3..<(y * growing.width + 100 + column * 100) * 3]
      }
    }
    #expect(tile(0) == tile(2) && tile(0) != tile(1))
  }
}
