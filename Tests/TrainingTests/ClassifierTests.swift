import CPUBackend
import Checkpoints
import Compute
import Datasets
import Foundation
import Images
import Support
import TestSupport
import Testing
import Training

/// A classifier whose outputs are the first pixels of its image, one for each class, so that its outputs identify the view.
final class FirstPixels: Classifier {
  let backend: any Backend = CPUBackend(precision: .float64)
  let name = "first pixels"
  let channels: Int
  var imageSize: (height: Int, width: Int)?
  let classes: [String]
  let normalization: Normalization? = nil
  let givesProbabilities: Bool

  init(classes: Int, channels: Int = 1, givesProbabilities: Bool = false) {
    self.classes = (0..<classes).map { "class \($0)" }
    (self.channels, self.givesProbabilities) = (channels, givesProbabilities)
  }

  func callAsFunction(_ x: Tensor) throws -> Tensor {
    let (values, count) = (try backend.download(x).floats, x.count / x.shape[0])
    let outputs = (0..<x.shape[0]).flatMap { values[$0 * count..<$0 * count + classes.count] }
    return try backend.uploadBatch(HostTensor(outputs, shape: [x.shape[0], classes.count]))
  }
}

@Suite struct ClassifierTests {
  /// Returns images [N,H,W,1] that are used as they are.
  private func source(_ images: HostTensor, labels: [Int32]? = nil, classes: Int) -> Dataset {
    let count = images.shape[0]
    return Dataset(
      name: "pixels", images: images,
      labels: HostTensor(labels ?? [Int32](repeating: 0, count: count), shape: [count]),
      classes: (0..<classes).map(String.init), normalization: .none(channels: 1))
  }

  private func softmax(_ logits: [Double]) -> [Double] {
    let sum = logits.map(exp).reduce(0, +)
    return logits.map { exp($0) / sum }
  }

  /// Uses three classes and five images of 1×3 in batches of two, so that every figure can be counted by hand.
  @Test func evaluationCountsWhatWasTakenForWhat() throws {
    let logits: [Float] = [3, 1, 0, 0, 2, 1, 0, 2, 1, 1, 1, 0, 0, 0, 5]
    let images = HostTensor(logits, shape: [5, 1, 3, 1])
    let classifier = FirstPixels(classes: 3)
    let loader = try BatchLoader(source(images, labels: [0, 1, 0, 1, 2], classes: 3), on: classifier.backend)
    let evaluation = try #require(try classifier.evaluate(loader, batchSize: 2))
    // For equal logits the lower class ranks first: the fourth image is classified as class 0.
    #expect((0..<3).map { label in (0..<3).map { evaluation[label, $0] } } == [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    #expect(evaluation.metrics.images == 5 && evaluation.metrics.top1 == 0.6 && evaluation.metrics.top5 == 1)
    let losses = zip([0, 1, 0, 1, 2], 0..<5).map { label, image in
      -log(softmax(logits[image * 3..<image * 3 + 3].map(Double.init))[label])
    }
    #expect(abs(evaluation.metrics.loss - losses.reduce(0, +) / 5) < 1e-12)
    #expect(try classifier.measure(loader, batchSize: 3)?.top1 == 0.6)
    let records = evaluation.perClass
    #expect(records.map(\.images) == [2, 2, 1] && records.map(\.right) == [1, 1, 1])
    #expect(records[0].confusion?.name == "class 1" && records[0].confusion?.images == 1 && records[2].confusion == nil)
  }

  /// Plants probabilities whose worst mistakes can be named by hand, over three batches.
  @Test func theWorstMistakesAreTheSurest() throws {
    let planted: [(label: Int32, probabilities: [Double])] = [
      (0, [0.1, 0.7, 0.2]), (1, [0.95, 0.01, 0.04]), (2, [0.01, 0.01, 0.98]), (2, [0.95, 0.04, 0.01]), (2, [0.5, 0.3, 0.2]),
      (1, [0.95, 0.02, 0.03]),
    ]
    let logits = planted.flatMap { $0.probabilities.map { Float(log($0)) + 3 } }
    let classifier = FirstPixels(classes: 3)
    let images = source(HostTensor(logits, shape: [6, 1, 3, 1]), labels: planted.map(\.label), classes: 3)
    let loader = try BatchLoader(images, on: classifier.backend)
    let evaluation = try #require(try classifier.evaluate(loader, batchSize: 2, worst: 4))
    // Of the three that are 0.95 sure, two give the right class 0.01, of which the first comes first.
    #expect(evaluation.worst.map(\.sample) == [1, 3, 5, 0])
    #expect(evaluation.worst.map(\.prediction) == [0, 0, 0, 1] && evaluation.worst.map(\.label) == [1, 2, 1, 0])
    for mistake in evaluation.worst {
      let probabilities = planted[mistake.sample].probabilities
      #expect(abs(mistake.probability - probabilities[mistake.prediction]) < 1e-6)
      #expect(abs(mistake.labelProbability - probabilities[mistake.label]) < 1e-6)
    }
    #expect(evaluation.confusedPairs.map { [$0.label, $0.prediction, $0.images] } == [[1, 0, 2], [2, 0, 2], [0, 1, 1]])
    #expect(try classifier.evaluate(loader, batchSize: 3)?.worst == [])
    #expect(try classifier.evaluate(loader, batchSize: 3, worst: 99)?.worst.count == 5)
    // Views are averaged before mistakes are sought: the mirrored first image gives 0.15, 0.7, 0.15.
    let flipped = try BatchLoader(ImageViews(images, .flip), on: classifier.backend)
    let first = try classifier.evaluate(flipped, batchSize: 4, worst: 9)?.worst.first { $0.sample == 0 }
    #expect(try abs(#require(first).labelProbability - 0.15) < 1e-6)
  }

  /// Checks that probabilities are averaged, not logits.
  @Test func flippedViewsAreAveraged() throws {
    let images = HostTensor([4, 0, 1] as [Float], shape: [1, 1, 3, 1])
    var found: [Prediction] = []
    let classifier = FirstPixels(classes: 3)
    let views = try ImageViews(source(images, labels: [2], classes: 3), .flip)
    let loader = try BatchLoader(views, on: classifier.backend)
    _ = try classifier.predict(loader, batchSize: 4, top: 3) { found += $0 }
    let (a, b) = (softmax([4, 0, 1]), softmax([1, 0, 4]))
    let classes = try found[0].classes.get()
    #expect(classes.map(\.label) == [0, 2, 1])
    for (label, probability) in classes { #expect(abs(probability - (a[label] + b[label]) / 2) < 1e-12) }
    // The same probabilities are measured.
    let metrics = try #require(try classifier.measure(loader, batchSize: 4))
    #expect(abs(metrics.loss + log((a[2] + b[2]) / 2)) < 1e-12 && metrics.top1 == 0 && metrics.top5 == 1)

    // Probabilities that the network already gives stay unchanged, including zeros.
    let given = HostTensor([0, 0.25, 0.75] as [Float], shape: [1, 1, 3, 1])
    let sure = FirstPixels(classes: 3, givesProbabilities: true)
    let one = try BatchLoader(source(given, classes: 3), on: sure.backend)
    _ = try sure.predict(one, batchSize: 1, top: 2) { found = $0 }
    #expect(try found[0].classes.get().map(\.label) == [2, 1])
    #expect(try abs(found[0].classes.get()[0].probability - 0.75) < 1e-12)
  }

  /// Checks labels before a device looks up what they name. Without images, nothing is predicted, and nothing can be measured.
  @Test func labelsAreThoseOfClasses() throws {
    let images = HostTensor([4, 0, 1, 1, 0, 2] as [Float], shape: [2, 1, 3, 1])
    let classifier = FirstPixels(classes: 3)
    for label in [-1, 3] as [Int32] {
      let loader = try BatchLoader(source(images, labels: [0, label], classes: 3), on: classifier.backend)
      let failure = #expect(throws: Failure.self) { try classifier.evaluate(loader, batchSize: 2) }
      #expect(failure?.description == "image 1 of pixels has the label \(label), and there are 3 classes")
    }
    let whole = ImagePreparation.whole(WholeImageTransform(height: 1, width: 3))
    let none = try BatchLoader(
      try PhotographDataset([], whole, normalization: .none(channels: 1)), on: classifier.backend)
    #expect(try classifier.predict(none, batchSize: 2, top: 1) { _ in Issue.record("a batch of no images") })
    #expect(throws: Failure.self) { try classifier.measure(none, batchSize: 2) }
  }

  /// Numbers the pixels by position, so that the first pixel of each view identifies its position.
  @Test func tenCropsAreWhereTheyShouldBe() throws {
    let (height, width) = (5, 7)
    let images = HostTensor((0..<height * width).map { Float($0) / 10 }, shape: [1, height, width, 1])
    let whole = source(images, classes: 2)
    let views = try ImageViews(whole, .tenCrop, cropSize: (height: 3, width: 3))
    #expect(views.shape(ofBatch: 4) == [1, 3, 3, 1] && views.views.count == 10)
    let backend = CPUBackend()
    let loaded = try BatchLoader(views, on: backend).load(EpochPlan(inOrder: 1), batches: [0..<1])
    let batch = try #require(try loaded.load(0).pixels)
    let seen = try views.views.indices.map { try backend.download(try batch.gather(view: $0).x).floats }
    let corners = [0, 4, 14, 18, 9]  // The last one is row 1, column 2.
    #expect(seen.map { ($0[0] * 10).rounded() } == (corners + corners.map { $0 + 2 }).map(Float.init))
    #expect(seen.map { ($0[1] * 10).rounded() } == (corners.map { $0 + 1 } + corners.map { $0 + 1 }).map(Float.init))
    #expect(throws: Failure.self) { try ImageViews(whole, .tenCrop, cropSize: (height: 5, width: 7)) }
    #expect(throws: Failure.self) { try ImageViews(whole, .tenCrop) }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let images = HostTensor([1, 2, 3, 4] as [Float], shape: [1, 2, 2, 1])
    let classifier = FirstPixels(classes: 2)
    classifier.imageSize = (4, 4)
    #expect(throws: Failure.self) { try classifier.outputs(of: images, batchSize: 1) }
    #expect(throws: Failure.self) { try FirstPixels(classes: 2, channels: 3).outputs(of: images, batchSize: 1) }
    #expect(throws: Failure.self) {
      try FirstPixels(classes: 2).outputs(of: HostTensor([.nan, 0] as [Float], shape: [1, 1, 2, 1]), batchSize: 1)
    }
    #expect(try FirstPixels(classes: 2).outputs(of: images, batchSize: 1)?.floats == [1, 2])
    #expect(try FirstPixels(classes: 2).outputs(of: images, batchSize: 1) { _ in false } == nil)
  }

  /// Checks files in order, damaged files by their numbers, in color and in gray.
  @Test func filesBecomeViews() throws {
    try withTemporaryFolder { folder in
      for index in 0..<5 {
        try writePicture("\(folder)/b/\(index).png", height: 20, width: 30 + index, color: (200, 90, 10), noise: UInt32(index))
      }
      try writePicture("\(folder)/a.png", height: 9, width: 9, color: (1, 2, 3), noise: 8)
      for name in ["b/1.png", "b/4.png"] { try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)")) }
      try Data().write(to: URL(fileURLWithPath: "\(folder)/readme.txt"))
      let paths = try ImageFiles.find(["\(folder)/b/3.png", "\(folder)/"]).images
      #expect(paths.map(\.path) == (["b/3.png", "a.png"] + (0..<5).map { "b/\($0).png" }).map { "\(folder)/\($0)" })
      #expect(throws: Failure.self) { try ImageFiles.find(["\(folder)/c"]) }

      let evaluation = EvaluationTransform(resize: 12, crop: 8)
      let (rgb, luma) = (Normalization.none(channels: 3), Normalization.none(channels: 1))
      let photographs = try PhotographDataset(paths, .center(evaluation), normalization: rgb, damaged: .skip)
      let small = ImagePreparation.whole(WholeImageTransform(height: 8, width: 6))
      let grayed = try PhotographDataset(paths, small, normalization: luma, damaged: .skip)
      let (color, gray) = (try ImageViews(photographs, .tenCrop), try ImageViews(grayed, .flip))
      #expect(color.shape(ofBatch: 4) == [4, 8, 8, 3] && color.views.count == 10)
      #expect(gray.shape(ofBatch: 9) == [7, 8, 6, 1] && gray.views.count == 2)
      let (plan, backend) = (EpochPlan(inOrder: 7), CPUBackend())
      let loaded = try [color, gray].map { try BatchLoader($0, on: backend).load(plan, batches: [0..<4, 4..<7]) }
      var samples: [Int] = []
      var missing: [Int] = []
      for index in 0..<2 {
        let (batch, pixels) = try loaded[0].load(index)
        samples += batch.items.map(\.sample)
        missing += batch.missing.map(\.item.sample)
        let present = try #require(pixels)
        let views = try color.views.indices.map { try backend.download(present.gather(view: $0).x).floats }
        let other = try #require(try loaded[1].load(index).pixels)
        let grays = try backend.download(other.gather(view: 0).x).floats
        for (index, item) in batch.items.enumerated() {
          let image = try EncodedImage(paths[item.sample])
          func crop(_ view: Int) -> [UInt8] { views[view][index * 192..<(index + 1) * 192].map { UInt8($0) } }
          // The last of the five crops is the single center crop.
          let center = try evaluation.apply(image)
          #expect(crop(4) == center.pixels)
          var mirrored: [UInt8] = []
          for pixel in 0..<64 {
            let from = 3 * (pixel / 8 * 8 + 7 - pixel % 8)
            mirrored += center.pixels[from..<from + 3]
          }
          #expect(crop(9) == mirrored)
          let resized = try image.decoded().resized(
            height: 12, width: Int(12 * Double(image.width) / Double(image.height)))
          let corner = resized.cropped(to: PixelArea(top: 12 - 8, left: resized.width - 8, height: 8, width: 8))
          #expect(crop(3) == corner.pixels)
          let whole = try image.decoded().resized(height: 8, width: 6).pixels
          let expected = stride(from: 0, to: whole.count, by: 3).map { i -> Double in
            let (red, green, blue) = (Double(whole[i]), Double(whole[i + 1]), Double(whole[i + 2]))
            return 0.299 * red + 0.587 * green + 0.114 * blue
          }
          let values = grays[index * 48..<(index + 1) * 48].map(Double.init)
          #expect(zip(values, expected).allSatisfy { abs($0 - $1) <= 0.51 })
        }
      }
      #expect(samples == [0, 1, 2, 4, 5] && missing == [3, 6])
      #expect(throws: Failure.self) { try ImageViews(grayed, .tenCrop) }
      #expect(throws: Failure.self) { try PhotographDataset(paths, small, normalization: .none(channels: 2)) }
    }
  }
}
