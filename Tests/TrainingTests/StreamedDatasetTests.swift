import CPUBackend
import Compute
import Datasets
import Foundation
import Images
import Models
import OpenCLBackend
import Photographs
import Testing
import Training

@Suite struct StreamedDatasetTests {
  private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("photographs-\(UUID().uuidString)").path

  private func open(damaged: DamagedImages = .fail) throws -> LabelledSplits {
    try DatasetKind.folder.open(from: "\(folder)/data", imageSize: 16, damaged: damaged)
  }

  /// Batches hold each image's transform, normalised, in the plan's order, from whichever batch on.
  @Test(arguments: [nil, RandomResizedCrop(size: 16)]) func batches(_ crop: RandomResizedCrop?) throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try writePhotographs("\(folder)/data", train: 5, validation: 1)
    let photographs = try #require(try open().train as? PhotographDataset)
    let backend = CPUBackend()
    let source = try batchSource(of: photographs, crop: crop, on: backend)
    #expect(source.count == 15)
    let plan = EpochPlan(seed: 4, epoch: 3, count: 15, shuffle: true, augmentation: nil)
    let transform: any ImageTransform =
      crop.map { TrainingTransform($0, seed: 4, epoch: 3) } ?? EvaluationTransform(resize: 18, crop: 16)
    for first in [0, 2] {
      let epoch = try source.load(plan, batches: plan.batches(of: 4, keepShort: true), from: first)
      for index in first..<4 {
        let items = epoch.batches[index].map { photographs.items[plan.order[$0]] }
        let (x, labels) = try epoch.batch(index)
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
    _ name: String, _ splits: LabelledSplits, resuming: Bool = false, onDamage: @escaping (Failure) -> Void = { _ in }
  )
    throws -> Trainer
  {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 3), dataset: "folder")
    (run.epochs, run.batchSize, run.seed, run.learningRate) = (3, 8, 7, 0.05)
    (run.imageSize, run.randomCrop) = (16, RandomResizedCrop(size: 16))
    let path = "\(folder)/\(name)"
    return try Trainer(
      run, splits, on: OpenCLBackend(device: DeviceList.find("opencl").device),
      folder: resuming ? RunFolder(existing: path) : RunFolder(creating: path), resuming: resuming, logEvery: 1,
      onDamage: onDamage)
  }

  /// A run that stops within an epoch and goes on ends in the bits of one that does not; and it learns.
  @Test func trainsAndResumes() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try writePhotographs("\(folder)/data", train: 16, validation: 4)
    let whole = try trainer("whole", try open())
    var accuracy = 0.0
    #expect(try whole.run(report: { if case .epoch(let record) = $0 { accuracy = record.validationAccuracy } }) == .finished)
    #expect(whole.totalSteps == 18 && accuracy > 0.6)
    #expect(try whole.folder.configuration().randomCrop == RandomResizedCrop(size: 16))

    do {  // The folder is one trainer's as long as it lives.
      let cut = try trainer("cut", try open())
      #expect(try cut.run(shouldStop: { cut.step >= 8 }) == .stopped)
    }
    let resumed = try trainer("cut", try open(), resuming: true)
    #expect(resumed.step == 8)
    #expect(try resumed.run() == .finished)
    func contents(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
    #expect(try contents(whole.folder.lastPath) == contents(resumed.folder.lastPath))
  }

  @Test func damagedImages() throws {
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try writePhotographs("\(folder)/data", train: 8, validation: 2)
    try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/train/bee/3.png"))
    try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/bee/1.png"))
    let failure = #expect(throws: Failure.self) { _ = try trainer("fail", try open()).run() }
    #expect(failure?.description.contains("/train/bee/3.png: neither a JPEG nor a PNG") == true)

    var named: [String] = []
    let skipping = try trainer("skip", try open(damaged: .skip), onDamage: { named.append($0.description) })
    #expect(try skipping.run() == .finished)
    // Once in every epoch, each.
    #expect(named.count { $0.contains("/train/bee/3.png") } == 3 && named.count { $0.contains("/val/bee/1.png") } == 3)
    let validation = try batchSource(of: try open(damaged: .skip).validation, on: skipping.model.store.backend)
    #expect(try skipping.model.evaluate(validation, batchSize: 4)?.images == 5)
  }
}
