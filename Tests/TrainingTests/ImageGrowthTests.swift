import CPUBackend
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

/// Tests images that grow from epoch to epoch.
@Suite struct ImageGrowthTests {
  private func run(_ model: String, from side: Int, epochs: Int) -> RunConfiguration {
    var run = RunConfiguration(model: ModelConfiguration(name: model, classes: 4), dataset: "synthetic")
    (run.epochs, run.resizeFrom) = (epochs, side)
    return run
  }

  @Test(arguments: [
    ("resnet20", 16, 10, (28, 28), ["16×16", "20×20", "24×24", "28×28"]), ("resnet20", 16, 1, (28, 28), ["28×28"]),
    ("resnet20", 16, 2, (28, 28), ["16×16", "28×28"]), ("resnet20", 13, 3, (30, 30), ["13×13", "20×20", "30×30"]),
    ("resnet50", 128, 90, (224, 224), ["128×128", "160×160", "192×192", "224×224"]),
    ("resnet50", 100, 5, (224, 224), ["100×100", "128×128", "160×160", "192×192", "224×224"]),
    ("resnet20", 10, 3, (20, 40), ["10×20", "16×32", "20×40"]), ("resnet20", 27, 100_000_000, (28, 28), ["27×27", "28×28"]),
  ])
  func sidesGrowLinearly(_ model: String, _ from: Int, _ epochs: Int, _ full: (Int, Int), _ expected: [String]) throws {
    let shapes = try run(model, from: from, epochs: epochs).batchShapes([7, full.0, full.1, 3])
    #expect(shapes.map { "\($0[1])×\($0[2])" } == expected)
    #expect(shapes.allSatisfy { $0[0] == 7 && $0[3] == 3 })
  }

  @Test func impossibleSidesAreRefused() throws {
    let images = SyntheticImages(count: 8, validationCount: 2, classes: 4, size: 16, channels: 3).splits().train
    func complaint(_ run: RunConfiguration) throws -> String {
      let failure = #expect(throws: Failure.self) {
        try run.validate()
        try run.check(images)
      }
      return failure?.description ?? ""
    }
    #expect(try complaint(run("resnet8", from: 16, epochs: 2)).contains("images of 16×16 cannot grow from this side"))
    #expect(try complaint(run("resnet8", from: 0, epochs: 2)).contains("at least one pixel is needed"))
    var single = run("resnet8", from: 4, epochs: 2)
    single.batchSize = 1
    #expect(try complaint(single).contains("batches of two images"))
    single.resizeFrom = 8
    try single.check(images)
  }

  /// Images in memory are shrunk after all random changes, also if colors change on the host.
  @Test(arguments: [false, true]) func imagesInMemoryAreShrunk(_ changesColors: Bool) throws {
    let images = SyntheticImages(count: 12, validationCount: 2, classes: 4, size: 16, channels: 3).splits().train
    let backend = CPUBackend()
    var augmentation = Augmentation(crop: .padded(pixels: 2))
    augmentation.randomErasing = RandomErasing(probability: 0.5)
    if changesColors { augmentation.trivialAugment = true }
    let source = try BatchLoader(images, augmentation: augmentation, on: backend)
    let plan = EpochPlan(seed: 4, epoch: 3, count: 12, shuffle: true, augmentation: augmentation)
    let batches = plan.batches(of: 5, keepShort: true)
    let (whole, small) = (
      try source.load(plan, batches: batches), try source.load(plan, batches: batches, from: 1, size: (8, 12))
    )
    for index in batches.indices {
      let (x, labels) = try #require(try whole.batch(index))
      if index == 0 { continue }
      let (shrunk, others) = try #require(try small.batch(index))
      #expect(shrunk.shape == [batches[index].count, 8, 12, 3])
      #expect(try backend.download(labels) == backend.download(others))
      let expected = try backend.tensor(shrunk.shape)
      backend.shrink(x, into: expected)
      #expect(try backend.download(shrunk) == backend.download(expected))
    }
  }

  /// Photographs are cropped in the smaller size. Damaged ones are reported once, whatever the number of sizes.
  @Test func photographsAreCroppedInTheSize() throws {
    try withTemporaryFolder { folder in
      try writePhotographs("\(folder)/data", train: 4, validation: 1)
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/train/bee/3.png"))
      let splits = try DatasetKind.folder.open(from: "\(folder)/data", imageSize: 16, damaged: .skip)
      let photographs = try #require(splits.train as? PhotographDataset)
      #expect(photographs.resized(height: 8, width: 8)?.shape == [12, 8, 8, 3])
      var named: [Failure] = []
      let crop = RandomResizedCrop(size: 16)
      let source = try BatchLoader(photographs, crop: crop, on: CPUBackend(), onDamage: { named.append($0) })
      let plan = EpochPlan(seed: 4, epoch: 1, count: 12, shuffle: false, augmentation: nil)
      for side in [8, 12, 16] {
        let epoch = try source.load(plan, batches: [0..<12], size: (side, side))
        let (x, _) = try #require(try epoch.batch(0))
        #expect(x.shape == [11, side, side, 3])
        let transform = TrainingTransform(RandomResizedCrop(size: side), seed: 4, epoch: 1)
        let first = try transform.apply(try EncodedImage(contentsOf: photographs.items[0].path), sample: 0)
        let expected = Normalization.imageNet.applied(to: first.pixels)
        #expect(zip(try CPUBackend().download(x).floats, expected).allSatisfy { abs($0 - $1) < 1e-5 })
      }
      #expect(named.count == 1)
      // Images that are not cropped at random are resized in proportion.
      guard case .center(let small) = photographs.resized(height: 8, width: 8)?.preparation else {
        Issue.record("no center crop")
        return
      }
      #expect(small == EvaluationTransform(resize: 9, crop: 8))
    }
  }

  /// Checks that a run that stops within the epoch of a size goes on with it, and ends in the same bits.
  @Test func runsGoOnInTheSameBits() throws {
    try withTemporaryFolder { folder in
      let splits = SyntheticImages(seed: 3, count: 32, validationCount: 8, classes: 4, size: 12, channels: 3).splits()
      var run = run("resnet8", from: 4, epochs: 3)
      (run.batchSize, run.augmentation, run.seed) = (8, Augmentation(crop: .padded(pixels: 2)), 7)
      func trainer(_ name: String, resuming: Bool = false) throws -> Trainer {
        let path = "\(folder)/\(name)"
        return try Trainer(
          resuming ? RunFolder(existing: path).configuration() : run, splits, on: CPUBackend(),
          folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path), resuming: resuming)
      }
      let whole = try trainer("whole")
      #expect(try whole.run() == .finished)
      do {
        let cut = try trainer("cut")
        #expect(try cut.run(shouldStop: { cut.step >= 6 }) == .stopped)
      }
      let resumed = try trainer("cut", resuming: true)
      #expect(resumed.step == 6 && resumed.configuration.resizeFrom == 4)
      #expect(try resumed.run() == .finished)
      func contents(_ trainer: Trainer) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: trainer.folder!.lastPath)) }
      #expect(try contents(whole) == contents(resumed))
      run.resizeFrom = nil
      let plain = try trainer("plain")
      _ = try plain.run()
      #expect(try contents(plain) != contents(whole))
    }
  }
}
