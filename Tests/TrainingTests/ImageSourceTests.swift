import CPUBackend
import Checkpoints
import Compute
import Datasets
import Foundation
import Images
import Models
import OpenCLBackend
import Support
import Testing
import Training

/// Source that the library does not know: stripes that are drawn when they are needed. The class is their direction, and the
/// sample their phase.
private struct Stripes: ImageSource {
  let samples: [Int]
  let name = "stripes"
  let classes = ["across", "down", "slanted"]
  let normalization = Normalization(mean: [0.5, 0.25], deviation: [0.25, 0.5])

  var shape: Shape { [samples.count, 9, 8, 2] }
  var items: [ImageItem] { samples.map { ImageItem(path: "", label: Int32($0 % 3), sample: $0) } }

  func loader() -> any ImageLoader { Painter() }

  func prefix(_ count: Int) -> Stripes { Stripes(samples: Array(samples.prefix(count))) }

  private struct Painter: ImageLoader {
    let imageBytes = 9 * 8 * 2

    func load(_ item: ImageItem, into pixels: UnsafeMutableBufferPointer<UInt8>) {
      for index in pixels.indices {
        let (h, w, c) = (index / 16, index / 2 % 8, index % 2)
        let phase = [h, w, h + w][Int(item.label)] + item.sample
        pixels[index] = UInt8(phase % 4 < 2 ? 200 - 20 * c : 30 + item.sample % 50)
      }
    }
  }

  /// Returns the same images in memory.
  func inMemory() throws -> Dataset {
    var bytes = [UInt8](repeating: 0, count: shape.count)
    try bytes.withUnsafeMutableBufferPointer { buffer in
      for (index, item) in items.enumerated() {
        try loader().load(item, into: UnsafeMutableBufferPointer(rebasing: buffer[index * 144..<(index + 1) * 144]))
      }
    }
    return Dataset(
      name: name, images: HostTensor(bytes, shape: shape), labels: HostTensor(items.map(\.label), shape: [samples.count]),
      classes: classes, normalization: normalization)
  }
}

@Suite struct ImageSourceTests {
  private let device: OpenCLBackend
  private let stripes = ImageSplits(train: Stripes(samples: Array(0..<60)), validation: Stripes(samples: Array(100..<121)))

  init() throws { device = try OpenCLBackend(device: DeviceList.find("opencl").device) }

  private func memory() throws -> ImageSplits {
    ImageSplits(
      train: try Stripes(samples: Array(0..<60)).inMemory(), validation: try Stripes(samples: Array(100..<121)).inMemory())
  }

  private func train(_ splits: ImageSplits, _ augmentation: Augmentation) throws -> (losses: [Double], Trainer) {
    var run = RunConfiguration(model: ModelConfiguration(name: "resnet8", classes: 3, channels: 2), dataset: "stripes")
    (run.epochs, run.batchSize, run.seed, run.augmentation) = (3, 16, 7, augmentation)
    run.optimizer = .sgd(learningRate: 0.05)
    let trainer = try Trainer(run, splits, on: device, folder: nil)
    var losses: [Double] = []
    _ = try trainer.run(report: {
      if case .epoch(let epoch) = $0 { losses += [epoch.loss, epoch.validationLoss, epoch.validationAccuracy] }
    })
    return (losses, trainer)
  }

  /// Checks that a source of the test's own trains to the same bits as the same images in memory, whether they are cropped on the
  /// host or on the device, and that both are measured alike.
  @Test(arguments: [Augmentation.none, Augmentation(crop: .padded(pixels: 2))]) func ownImagesTrain(_ augmentation: Augmentation)
    throws
  {
    let (own, trained) = try train(stripes, augmentation)
    let (known, other) = try train(try memory(), augmentation)
    #expect(own == known && own.count == 9 && own.last.map { $0 > 0.6 } == true, "\(own)")
    let (weights, others) = (try trained.model.store.stateDictionary(), try other.model.store.stateDictionary())
    #expect(weights.map(\.tensor) == others.map(\.tensor))

    let classifier = ResNetClassifier(trained.model, classes: stripes.train.classes)
    func evaluate(_ images: any ImageSource, streams: Bool) throws -> Evaluation {
      try #require(try classifier.evaluate(try BatchLoader(images, streams: streams, on: device), batchSize: 8))
    }
    let expected = try evaluate(stripes.validation, streams: false)
    for streams in [false, true] {
      let found = try evaluate(try memory().validation, streams: streams)
      #expect(found.metrics == expected.metrics && found.perClass == expected.perClass)
    }
    #expect(expected.metrics.top1 == own[8] && expected.perClass.map(\.images) == [7, 7, 7])
    #expect(expected.perClass.reduce(0) { $0 + $1.right } == Int((expected.metrics.top1 * 21).rounded()))
  }

  /// Checks that test-time augmentation finds crops in images of the test's own.
  @Test func ownImagesAreCropped() throws {
    let views = try ImageViews(stripes.validation, .tenCrop, cropSize: (height: 6, width: 6))
    let backend = CPUBackend()
    let loaded = try BatchLoader(views, on: backend).load(EpochPlan(inOrder: 21), batches: [0..<21])
    let batch = try #require(try loaded.load(0).pixels)
    let pixels = try memory().validation.normalization.applied(to: #require(try memory().validation.pixels).bytes)
    for (index, top, left) in [(0, 0, 0), (1, 0, 2), (2, 3, 0), (3, 3, 2), (4, 2, 1)] {
      let (view, mirrored) = (
        try backend.download(batch.gather(view: index).x).floats, try backend.download(batch.gather(view: index + 5).x).floats
      )
      for (image, h, w, c) in [(0, 0, 0, 0), (7, 5, 1, 1), (20, 3, 4, 0)] {
        let expected = pixels[((image * 9 + top + h) * 8 + left + w) * 2 + c]
        #expect(abs(view[((image * 6 + h) * 6 + w) * 2 + c] - expected) < 1e-5)
        #expect(abs(mirrored[((image * 6 + h) * 6 + 5 - w) * 2 + c] - expected) < 1e-5)
      }
    }
  }

  /// Checks that changes of color are refused where they are not defined.
  @Test func colorsOfTwoChannelsAreRefused() throws {
    var colors = Augmentation.none
    colors.trivialAugment = true
    let refused = #expect(throws: Failure.self) { try train(stripes, colors) }
    #expect(refused?.description.contains("those of stripes are uint8 in 2") == true)
  }
}
