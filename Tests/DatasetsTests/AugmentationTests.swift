import CPUBackend
import Compute
import Datasets
import Foundation
import Images
import TestSupport
import Testing

/// Tests random erasing, mixing, and images in memory that are loaded through the host.
@Suite struct AugmentationTests {
  private static let whole = Double(BatchPlan.wholeShare)

  /// Checks the moments of torchvision's distribution: a mean of 0.175 of the area, and an aspect ratio whose logarithm is
  /// uniform. Which sample is erased depends on chance alone.
  @Test func erasing() {
    let (height, width, count) = (1000, 1000, 20_000)
    let erasing = RandomErasing(probability: 0.25)
    var (areas, logarithms, tops) = ([Double](), 0.0, 0.0)
    for sample in 0..<count {
      guard let box = erasing.draw(seed: 3, epoch: 1, sample: sample, height: height, width: width) else { continue }
      #expect(box.top >= 0 && box.left >= 0 && box.top + box.height <= height && box.left + box.width <= width)
      areas.append(Double(box.height * box.width) / Double(height * width))
      logarithms += log(Double(box.height) / Double(box.width))
      tops += Double(box.top) / Double(height - box.height)
    }
    let n = Double(areas.count)
    // The standard deviations of these means are 0.003, 0.0013, 0.010 and 0.004.
    #expect(abs(n / Double(count) - 0.25) < 0.015)
    #expect(abs(areas.reduce(0, +) / n - 0.175) < 0.006 && areas.allSatisfy { $0 > 0.0195 && $0 < 0.3305 })
    #expect(abs(logarithms / n - (log(0.3) + log(3.3)) / 2) < 0.05)
    #expect(abs(tops / n - 0.5) < 0.02)
    let draws = [(1, 2, 3), (2, 2, 3), (1, 3, 3), (1, 2, 4)].map { seed, epoch, sample in
      RandomErasing(probability: 1).draw(seed: UInt64(seed), epoch: epoch, sample: sample, height: 224, width: 224)
    }
    #expect(Set(draws).count == 4)
    #expect(RandomErasing(probability: 0).draw(seed: 1, epoch: 1, sample: 1, height: 9, width: 9) == nil)
    // An image of one pixel could only be erased completely, which never happens: its box is empty.
    #expect(
      RandomErasing(probability: 1).draw(seed: 1, epoch: 1, sample: 1, height: 1, width: 1).map { $0.height * $0.width } == 0)
  }

  /// Checks that Beta(α, α) has the mean ½ and the variance 1/(8α + 4), even if α is so small that every share is 0 or 1.
  @Test(arguments: [1e-6, 0.2, 1, 7.5]) func mixupShares(_ alpha: Double) {
    let shares = (0..<8000).map { batch in
      let draw = BatchMixing(mixup: alpha).draw(seed: 5, epoch: 2, batch: batch, height: 8, width: 8)
      #expect(draw.pixelShare == draw.labelShare && draw.box.height == 0)
      return Double(draw.pixelShare) / Self.whole
    }
    let mean = shares.reduce(0, +) / 8000
    let variance = shares.reduce(0) { $0 + ($1 - 0.5) * ($1 - 0.5) } / 8000
    #expect(shares.allSatisfy { $0 >= 0 && $0 <= 1 } && abs(mean - 0.5) < 0.02)
    #expect(abs(variance * (8 * alpha + 4) - 1) < 0.06)
  }

  /// Checks that the label's share is the rest of the image's area, and that uncut boxes have the area that Beta(1, 1) gives.
  @Test func cutmixBoxes() {
    var (shares, uncut) = (0.0, [Double]())
    for batch in 0..<4000 {
      let draw = BatchMixing(cutmix: 1).draw(seed: 5, epoch: 2, batch: batch, height: 200, width: 100)
      let (box, area) = (draw.box, Double(draw.box.height * draw.box.width) / 20_000)
      #expect(draw.pixelShare == BatchPlan.wholeShare && abs(Double(draw.labelShare) / Self.whole - (1 - area)) < 1e-6)
      #expect(box.top >= 0 && box.left >= 0 && box.top + box.height <= 200 && box.left + box.width <= 100)
      shares += area
      if box.top > 0 && box.left > 0 && box.top + box.height < 200 && box.left + box.width < 100 {
        uncut.append(Double(box.height) / 200 - Double(box.width) / 100)
      }
    }
    // Wider boxes lose more at the edges: the share is ½ by chance, less about a third.
    #expect(shares / 4000 > 0.25 && shares / 4000 < 0.4)
    #expect(uncut.count > 500 && uncut.allSatisfy { abs($0) <= 0.02 })
    let both = BatchMixing(mixup: 0.4, cutmix: 1)
    let cuts = (0..<1000).count {
      both.draw(seed: 1, epoch: 0, batch: $0, height: 32, width: 32).pixelShare == BatchPlan.wholeShare
    }
    #expect(abs(cuts - 500) < 80)
  }

  private var everything: Augmentation {
    var all = Augmentation(crop: .padded(pixels: 2))
    all.randomErasing = RandomErasing(probability: 0.5)
    all.mixing = BatchMixing(mixup: 0.3, cutmix: 1)
    return all
  }

  /// Checks that each row has its own sample and the one before it, and that a sample's erased rectangle does not depend on
  /// its position.
  @Test func rowsPairSamples() {
    let plan = EpochPlan(seed: 2, epoch: 4, count: 64, shuffle: true, augmentation: everything)
    let rows = plan.rows(16..<48, height: 12, width: 10)
    #expect(rows.shape == [32, BatchPlan.mixedColumns])
    let values = rows.elements(as: Int32.self)
    let split = stride(from: 0, to: values.count, by: BatchPlan.mixedColumns).map {
      Array(values[$0..<$0 + BatchPlan.mixedColumns])
    }
    #expect(split.map { Int($0[0]) } == Array(plan.order[16..<48]))
    for (index, row) in split.enumerated() {
      #expect(Array(row[8..<16]) == Array(split[(index + 31) % 32][0..<8]) && row[16...] == split[0][16...])
      let box = everything.randomErasing?.draw(seed: 2, epoch: 4, sample: Int(row[0]), height: 12, width: 10)
      let expected = box.map { [$0.top, $0.left, $0.height, $0.width].map(Int32.init) } ?? [0, 0, 0, 0]
      #expect(Array(row[4..<8]) == expected)
    }
    // Rows for images that were cropped before they reached the device agree, even if some images are missing.
    let loaded = plan.rows(ofLoaded: [plan.order[16], plan.order[18]], batch: 16, height: 12, width: 10).elements(as: Int32.self)
    #expect(loaded.count == 2 * BatchPlan.mixedColumns && Array(loaded[0..<4]) == [0, 0, 0, 0] && loaded[22] == 1)
    #expect(Array(loaded[4..<8]) == Array(split[0][4..<8]) && Array(loaded[26..<30]) == Array(split[2][4..<8]))
    #expect(Array(loaded[16..<22]) == Array(split[0][16...]) && Array(loaded[30..<34]) == [0, 0, 0, 0])
    // Without these augmentations the rows are the plain ones.
    let plain = EpochPlan(seed: 2, epoch: 4, count: 64, shuffle: true, augmentation: Augmentation(crop: .padded(pixels: 2)))
    #expect(plain.rows(0..<4, height: 12, width: 10).shape == [4, 4])
  }

  /// Checks that images on the path through the host are cropped and flipped as on the device, and changed after that.
  @Test(arguments: [1, 3]) func throughTheHost(_ channels: Int) throws {
    let dataset = SyntheticImages(seed: 1, count: 12, validationCount: 1, classes: 3, size: 9, channels: channels).splits().train
    var augmentation = Augmentation(crop: .padded(pixels: 3))
    let plan = EpochPlan(seed: 8, epoch: 1, count: 12, shuffle: false, augmentation: augmentation)
    let backend = CPUBackend()
    let (x, labels) = (try backend.tensor(dataset.shape), try backend.tensor([12], .int32))
    backend.gatherBatch(
      images: try backend.upload(dataset.images), labels: try backend.upload(dataset.labels), plan: try backend.upload(plan.rows),
      channelMap: try backend.upload(Normalization.none(channels: channels).channelMap), into: x, batchLabels: labels)
    let cropped = try backend.download(x).floats.map { UInt8($0) }

    func load(_ sample: Int) throws -> [UInt8] {
      let loader = try dataset.loader(crop: nil, augmentation, seed: 8, epoch: 1)
      return try [UInt8](unsafeUninitializedCapacity: loader.imageBytes) { buffer, count in
        try loader.load(dataset.items[sample], into: UnsafeMutableBufferPointer(rebasing: buffer[..<loader.imageBytes]))
        count = loader.imageBytes
      }
    }
    let bytes = 81 * channels
    for sample in 0..<12 { #expect(try load(sample) == Array(cropped[sample * bytes..<(sample + 1) * bytes])) }
    (augmentation.colorJitter, augmentation.trivialAugment) = (ColorJitter(brightness: 0.5, contrast: 0.4, hue: 0.2), true)
    let changes = PixelAugmentation(colorJitter: augmentation.colorJitter, trivialAugment: true, seed: 8, epoch: 1)
    for sample in 0..<12 {
      let before = Array(cropped[sample * bytes..<(sample + 1) * bytes])
      let colors = channels == 3 ? before : before.flatMap { [$0, $0, $0] }
      var image = RGBImage(height: 9, width: 9, pixels: colors)
      for change in changes.draw(sample: sample) { image = image.applying(change) }
      let expected = channels == 3 ? image.pixels : stride(from: 0, to: image.pixels.count, by: 3).map { image.pixels[$0] }
      #expect(try load(sample) == expected)
      if channels == 1 { #expect((0..<81).allSatisfy { image.pixels[3 * $0] == image.pixels[3 * $0 + 2] }) }
    }
  }

  @Test func valuesThatMakeNoSense() throws {
    func message(_ change: (inout Augmentation) -> Void) -> String {
      var augmentation = Augmentation()
      change(&augmentation)
      return failureMessage { try augmentation.validate() }
    }
    expect(message { $0.colorJitter = ColorJitter(brightness: 0.1, hue: 0.6) }, says: ["colorJitter 0.1,0.0,0.0,0.6: ", "hue"])
    expect(message { $0.colorJitter = ColorJitter(contrast: -1) }, says: ["colorJitter", "from 0 to 100"])
    expect(message { $0.randomErasing = RandomErasing(probability: .nan) }, says: ["randomErasing nan: ", "from 0 to 1"])
    expect(message { $0.mixing = BatchMixing(mixup: 0) }, says: ["mixup 0.0: ", "from 1e-06 to 1000000"])
    expect(message { $0.mixing = BatchMixing(mixup: 1, cutmix: .infinity) }, says: ["cutmix inf: ", "from 1e-06"])
    let floats = Dataset(
      name: "tensors", images: HostTensor([Float](repeating: 0, count: 8), shape: [2, 2, 2, 1]),
      labels: HostTensor([0, 1] as [Int32], shape: [2]), classes: ["a", "b"], normalization: .none(channels: 1))
    var colors = Augmentation.none
    colors.trivialAugment = true
    let refused = failureMessage { try floats.requirePixels(for: colors) }
    expect(refused, says: ["trivialAugment", "tensors", "float32"])
  }

  @Test func photographsInTurns() throws {
    try withTemporaryFolder { folder in
      for name in [
        "train/a/1.jpg", "train/a/2.png", "train/a/3.jpg", "train/b/1.jpg", "train/c/1.jpg", "train/c/2.jpg", "val/a/1.jpg",
        "val/b/1.jpg", "val/c/1.jpg", "train/b/1.heic",
      ] {
        let path = "\(folder)/\(name)"
        try FileManager.default.createDirectory(
          atPath: URL(fileURLWithPath: path).deletingLastPathComponent().path, withIntermediateDirectories: true)
        try write([], to: path)
      }
      func train() throws -> PhotographDataset {
        try #require(try DatasetKind.folder.open(from: folder, imageSize: 8).train as? PhotographDataset)
      }
      let photographs = try train()
      #expect(
        photographs.prefix(4).items.map(\.label) == [0, 1, 2, 0] && photographs.prefix(4).items.map(\.sample) == [0, 3, 4, 1])
      #expect(photographs.prefix(5).items.map(\.sample) == [0, 3, 4, 1, 5] && photographs.prefix(6).items == photographs.items)
      #expect(photographs.ignored == ["\(folder)/train/b/1.heic"])
      // The contents depend on names and labels, whatever part of the folder is used and wherever it lies.
      let contents = try #require(photographs.contents)
      #expect(contents.count == 6 && photographs.prefix(2).contents == contents)
      let moved = "\(folder)-moved"
      try FileManager.default.moveItem(atPath: folder, toPath: moved)
      defer { try? FileManager.default.moveItem(atPath: moved, toPath: folder) }
      #expect(try DatasetKind.folder.open(from: moved, imageSize: 8).train.contents == contents)
      try FileManager.default.moveItem(atPath: "\(moved)/train/c/2.jpg", toPath: "\(moved)/train/c/4.jpg")
      let renamed = try DatasetKind.folder.open(from: moved, imageSize: 8).train.contents
      #expect(renamed?.count == 6 && renamed != contents)
    }
  }

  /// Checks that crops are resized, padded, cropped and flipped as if the whole image had been resized. Covers a panorama,
  /// and crops outside the image.
  @Test(arguments: [(20, 33, 3), (16, 16, 4), (5, 400, 2), (31, 17, 40)]) func paddedCrops(
    _ height: Int, _ width: Int, _ padding: Int
  ) throws {
    try withTemporaryFolder { folder in
      let picture = RGBImage(
        height: height, width: width, pixels: (0..<height * width * 3).map { UInt8(truncatingIfNeeded: 1 + $0 * 7 % 253) })
      for name in ["train/a", "val/a"] {
        try FileManager.default.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        try picture.writePNG(to: "\(folder)/\(name)/1.png")
      }
      let photographs = try #require(try DatasetKind.folder.open(from: folder, imageSize: 16).train as? PhotographDataset)
      let (rows, columns) = EvaluationTransform.resizedSize(of: picture, shorter: 16)
      let resized = picture.resized(height: rows, width: columns)
      let augmentation = Augmentation(crop: .padded(pixels: padding))
      var (offsets, flips) = (Set<Int>(), Set<Bool>())
      for epoch in 0..<40 {
        let loader = photographs.loader(crop: nil, augmentation, seed: 3, epoch: epoch)
        var pixels = [UInt8](repeating: 99, count: 16 * 16 * 3)
        try pixels.withUnsafeMutableBufferPointer { try loader.load(photographs.items[0], into: $0) }
        let draw = augmentation.draw(seed: 3, epoch: epoch, sample: 0, spare: (rows - 16, columns - 16))
        offsets.insert(draw.left)
        flips.insert(draw.isFlipped)
        for p in 0..<16 {
          for q in 0..<16 {
            let (h, w) = (draw.top + p, draw.left + (draw.isFlipped ? 15 - q : q))
            let inside = h >= 0 && h < rows && w >= 0 && w < columns
            let expected = inside ? Array(resized.pixels[(h * columns + w) * 3..<(h * columns + w) * 3 + 3]) : [0, 0, 0]
            #expect(Array(pixels[(p * 16 + q) * 3..<(p * 16 + q) * 3 + 3]) == expected)
          }
        }
      }
      // The offsets go from the first pixel of the padding to the last position where the crop still fits.
      #expect(offsets.allSatisfy { (-padding...columns - 16 + padding).contains($0) } && offsets.count > 5 && flips.count == 2)
    }
  }

  /// Checks that photographs that are only mirrored are cut at the center.
  @Test func mirroredCenters() throws {
    try withTemporaryFolder { folder in
      for name in ["train/a", "val/a"] {
        try writePicture("\(folder)/\(name)/1.png", height: 12, width: 19, color: (90, 20, 160), noise: 7)
      }
      let photographs = try #require(try DatasetKind.folder.open(from: folder, imageSize: 8).train as? PhotographDataset)
      func pixels(_ loader: any ImageLoader) throws -> [UInt8] {
        var pixels = [UInt8](repeating: 99, count: 8 * 8 * 3)
        try pixels.withUnsafeMutableBufferPointer { try loader.load(photographs.items[0], into: $0) }
        return pixels
      }
      let center = try pixels(photographs.loader())
      var mirrored: [UInt8] = []
      for pixel in 0..<64 {
        let from = 3 * (pixel / 8 * 8 + 7 - pixel % 8)
        mirrored += center[from..<from + 3]
      }
      let augmentation = Augmentation(crop: .none)
      var flips = Set<Bool>()
      for epoch in 0..<20 {
        let isFlipped = augmentation.draw(seed: 3, epoch: epoch, sample: 0).isFlipped
        flips.insert(isFlipped)
        #expect(
          try pixels(photographs.loader(crop: nil, augmentation, seed: 3, epoch: epoch)) == (isFlipped ? mirrored : center))
      }
      #expect(flips.count == 2 && mirrored != center)
    }
  }

  @Test func wrongKindsOfPaths() throws {
    try withTemporaryFolder { folder in
      let file = "\(folder)/file"
      try write([1], to: file)
      func message(_ kind: DatasetKind, _ path: String) -> String {
        failureMessage { _ = try kind.open(from: path, imageSize: 8) }
      }
      expect(message(.folder, file), says: ["\(file): a file", "train/CLASS"])
      expect(message(.tensors, folder), says: ["\(folder): a folder", "safetensors"])
      for kind in [DatasetKind.mnist, .fashionMNIST, .cifar10, .cifar100] {
        expect(message(kind, file), says: ["\(file): a file", kind.rawValue, "folder"])
      }
    }
  }
}
