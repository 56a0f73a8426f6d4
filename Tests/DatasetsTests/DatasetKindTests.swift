import Compute
import Datasets
import Formats
import Foundation
import Images
import TestSupport
import Testing

@Suite struct DatasetKindTests {
  @Test func names() throws {
    for kind in DatasetKind.allCases { #expect(try DatasetKind(named: kind.rawValue) == kind) }
    let message = failureMessage { _ = try DatasetKind(named: "imagenet") }
    expect(message, says: ["'imagenet'", "fashion-mnist, mnist, cifar10, cifar100, tensors, folder, synthetic"])
  }

  @Test(arguments: [DatasetKind.mnist, .cifar10, .cifar100, .tensors]) func needsAPath(_ kind: DatasetKind) throws {
    let message = failureMessage { _ = try kind.load() }
    expect(message, says: [kind.rawValue, "needs data: "])
  }

  @Test func folderIsStreamed() throws {
    let message = failureMessage { _ = try DatasetKind.folder.open(from: nil, imageSize: 8) }
    expect(message, says: ["folder", "needs data: ", "train/CLASS"])
    try withTemporaryFolder { folder in
      for name in ["train/a/1.jpg", "train/a/2.png", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg"] {
        let path = "\(folder)/\(name)"
        try FileManager.default.createDirectory(
          atPath: String(path.dropLast(6)), withIntermediateDirectories: true)
        try write([], to: path)
      }
      let splits = try DatasetKind.folder.open(from: folder, imageSize: 24, damaged: .skip)
      #expect(splits.train.shape == [3, 24, 24, 3] && splits.validation.count == 2 && splits.train.classes == ["a", "b"])
      #expect(splits.train.prefix(2).shape == [2, 24, 24, 3] && splits.train.normalization == .imageNet)
      let photographs = try #require(splits.train.prefix(100) as? PhotographDataset)
      #expect(photographs.items.map(\.label) == [0, 0, 1] && photographs.items.map(\.sample) == [0, 1, 2])
      #expect(photographs.damaged == .skip)
      let turned = photographs.renumbered([1, 0], names: ["b", "a"])
      #expect(turned.classes == ["b", "a"] && turned.items.map(\.label) == [1, 1, 0])
      #expect(turned.items.map(\.sample) == [0, 1, 2])
      let two = failureMessage {
        _ = try DatasetKind.folder.open(from: folder, imageSize: 24, normalization: .none(channels: 2))
      }
      expect(two, says: ["one channel or three", "images of 2"])

      // Evaluation needs no training images.
      try FileManager.default.removeItem(atPath: folder + "/train")
      let (images, source) = try DatasetKind.openMeasuredFolder(folder, imageSize: 24)
      #expect(images.shape == [2, 24, 24, 3] && source.description.hasPrefix("all 2 images of \(folder)/val"))
    }
    #expect(DatasetKind.folder.defaultAugmentation == Augmentation(crop: .randomResized(), flip: true))
  }

  /// The expected values come from torchvision's ToTensor and Normalize.
  @Test func imageNetNormalization() {
    let values = Normalization.imageNet.applied(to: [0, 128, 255, 255, 0, 1])
    let expected: [Float] = [-2.117904, 0.2052, 2.64, 2.2489083, -2.0357144, -1.7870152]
    for (value, expected) in zip(values, expected) { #expect(abs(value - expected) < 1e-4) }
  }

  @Test func syntheticTakesNoPath() throws {
    let message = failureMessage { _ = try DatasetKind.synthetic.load(from: "/x") }
    expect(message, says: ["synthetic", "leave data out"])
  }

  @Test func theChannelMapIsTheNormalization() {
    let normalization = Normalization(mean: [0.25, 0.5], deviation: [0.5, 0.125])
    let map = normalization.channelMap
    #expect(map.shape == [2, 2])
    let values = map.elements(as: Float.self)
    for (channel, pixel) in [(0, 0), (0, 255), (1, 51), (1, 255)] as [(Int, Float)] {
      let expected = (pixel / 255 - normalization.mean[channel]) / normalization.deviation[channel]
      #expect(abs(pixel * values[channel] + values[2 + channel] - expected) < 1e-5)
    }
    #expect(Normalization.none(channels: 3).channelMap.floats == [1, 1, 1, 0, 0, 0])
  }

  @Test func prefixes() throws {
    let train = SyntheticImages(count: 7, validationCount: 1, classes: 3, size: 5, channels: 2).splits().train
    let prefix = train.prefix(4)
    #expect(prefix.images == HostTensor(Array(train.images.bytes.prefix(200)), shape: [4, 5, 5, 2]))
    #expect(prefix.labels == HostTensor([0, 1, 2, 0] as [Int32], shape: [4]))
    #expect(prefix.classes == train.classes && prefix.normalization == train.normalization)
    #expect(train.prefix(7).images == train.images && train.prefix(100).count == 7)
  }

  @Test func syntheticImagesAreReproducible() throws {
    let sizes = SyntheticImages(seed: 5, count: 40, validationCount: 20, classes: 4, size: 9, channels: 3)
    let (first, second) = (sizes.splits(), sizes.splits())
    #expect(first.train.images == second.train.images && first.validation.images == second.validation.images)
    #expect(first.train.images.shape == [40, 9, 9, 3] && first.validation.images.shape == [20, 9, 9, 3])
    #expect(first.train.labels.elements(as: Int32.self) == (0..<40).map { Int32($0 % 4) })
    var other = sizes
    other.seed = 6
    #expect(other.splits().train.images != first.train.images)
    #expect(Array(first.train.images.bytes.prefix(20 * 243)) != first.validation.images.bytes)
  }

  /// Checks that the nearest class mean of the training images identifies every validation image, so that there is
  /// something to learn, and that there is noise, so that images of a class differ.
  @Test func syntheticClassesAreApart() {
    let splits = SyntheticImages(count: 200, validationCount: 50, classes: 10, size: 16).splits()
    let size = 16 * 16 * 3
    var means = [[Float]](repeating: [Float](repeating: 0, count: size), count: 10)
    for index in 0..<200 {
      for pixel in 0..<size { means[index % 10][pixel] += Float(splits.train.images.bytes[index * size + pixel]) / 20 }
    }
    for index in 0..<50 {
      let distances = means.map { mean in
        (0..<size).reduce(0 as Float) { sum, pixel in
          let difference = Float(splits.validation.images.bytes[index * size + pixel]) - mean[pixel]
          return sum + difference * difference
        }
      }
      #expect(distances.firstIndex(of: distances.min() ?? 0) == index % 10)
    }
    #expect(Set((0..<20).map { Array(splits.train.images.bytes[$0 * 10 * size..<($0 * 10 + 1) * size]) }).count == 20)
  }
}
