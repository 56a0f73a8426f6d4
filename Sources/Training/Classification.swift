import Compute
import Datasets
import Glibc
import Support

/// Logarithmic probabilities that a classifier gives the images of a batch.
public struct Scores: Sendable {
  /// Number of classes, K.
  public let classes: Int
  /// Natural logarithms of the probabilities, ln p, [N,K].
  public let logProbabilities: [Double]

  /// Number of images, N.
  public var count: Int { logProbabilities.count / classes }

  /// Averages the probabilities over views of the same images.
  /// - Parameters:
  ///   - outputs: network outputs for each view, [N,K] each; at least one view.
  ///   - areProbabilities: whether the outputs are probabilities p rather than logits.
  init(_ outputs: [HostTensor], areProbabilities: Bool) {
    let classes = outputs[0].shape[1]
    self.classes = classes
    let views = outputs.map { Self.logProbabilities($0.doubles, classes, areProbabilities: areProbabilities) }
    guard views.count > 1 else {
      logProbabilities = views[0]
      return
    }
    logProbabilities = views[0].indices.map { i in
      Self.logarithm(views.map { exp($0[i]) }.reduce(0, +) / Double(views.count))
    }
  }

  private static func logProbabilities(_ values: [Double], _ classes: Int, areProbabilities: Bool) -> [Double] {
    if areProbabilities { return values.map(logarithm) }
    var result = values
    for begin in stride(from: 0, to: values.count, by: classes) {
      let row = begin..<begin + classes
      let largest = values[row].max() ?? 0
      let sum = largest + log(values[row].reduce(0) { $0 + exp($1 - largest) })
      for i in row { result[i] = values[i] - sum }
    }
    return result
  }

  /// Returns the natural logarithm of a probability. A probability that is rounded to zero counts as the smallest normal float32,
  /// so that a loss stays finite.
  private static func logarithm(_ p: Double) -> Double { log(max(p, Double(Float.leastNormalMagnitude))) }

  /// Returns ln p of one image, [K].
  public func row(_ image: Int) -> ArraySlice<Double> { logProbabilities[image * classes..<(image + 1) * classes] }

  /// Returns the most probable classes of one image, the most probable first. Of equally probable classes, the one with the lower
  /// index comes first.
  public func top(_ count: Int, of image: Int) -> [(label: Int, probability: Double)] {
    let row = Array(row(image))
    return row.indices.sorted { (-row[$0], $0) < (-row[$1], $1) }.prefix(count).map { (label: $0, probability: exp(row[$0])) }
  }

  /// Returns the most probable class of one image. Of equally probable classes, it is the one with the lower index.
  func prediction(of image: Int) -> Int {
    let row = Array(row(image))
    return row.indices.min { (-row[$0], $0) < (-row[$1], $1) } ?? 0
  }

  /// Returns the number of classes that are more probable than `label`: 0 for the first.
  func rank(of label: Int, image: Int) -> Int {
    let row = Array(row(image))
    return row.indices.count { (-row[$0], $0) < (-row[label], label) }
  }
}

extension Classifier {
  /// Runs the network over all images. While one batch is in flight on the device, the next one is prepared.
  /// - Parameters:
  ///   - normalization: how pixels become the network's input.
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  ///   - body: called with each batch in order, and with the outputs [N,K] for each of its views. There are no outputs if all
  ///     images of the batch are missing.
  /// - Returns: false if `progress` stopped the run.
  /// - Throws: ``Failure`` if the images do not fit the network or its outputs are not finite; errors of the backend.
  public func run(
    over images: any ImageBatches, _ normalization: Normalization, precision: Precision,
    progress: (Int) throws -> Bool = { _ in true }, _ body: (PixelBatch, [HostTensor]) throws -> Void
  ) throws -> Bool {
    let size = images.viewShape
    try check(size)
    let channelMap = try backend.upload(normalization.channelMap)
    var pending: [(batch: PixelBatch, outputs: [any Readback])] = []
    func collect(downTo left: Int) throws {
      while pending.count > left {
        let (batch, outputs) = pending.removeFirst()
        let values = try outputs.map { try $0.wait() }
        if let output = values.first, output.shape != [batch.samples.count, classes.count] {
          throw Failure(
            .mismatch, "\(name) gives \(output.shape), not \([batch.samples.count, classes.count] as Shape): a value a class")
        }
        guard values.allSatisfy(\.isFinite) else {
          throw Failure(
            .mismatch,
            "the outputs of \(name) are not finite numbers, so the weights or the images are far out of range")
        }
        try body(batch, values)
      }
    }
    var done = 0
    while var batch = try images.next() {
      let x = try batch.samples.isEmpty ? nil : upload(batch)
      batch.pixels = HostTensor([UInt8](), shape: [0])
      let outputs = try images.views.map { view in
        try x.map { x in
          let gathered = try gather(x, batch.samples.count, view, size, channelMap, precision)
          return try backend.readLater(try self(gathered))
        }
      }
      pending.append((batch, outputs.compactMap { $0 }))
      try collect(downTo: 1)
      done += batch.samples.count + batch.failures.count
      guard try progress(done) else { return false }
    }
    try collect(downTo: 0)
    return true
  }

  private func check(_ size: (height: Int, width: Int, channels: Int)) throws {
    if size.channels != channels {
      throw Failure(.mismatch, "\(name) is built for images of \(channels) channels, these have \(size.channels)")
    }
    if let imageSize, imageSize != (size.height, size.width) {
      throw Failure(
        .mismatch,
        "\(name) takes images of \(imageSize.height)×\(imageSize.width) only, these have \(size.height)×\(size.width)")
    }
  }

  private func upload(_ batch: PixelBatch) throws -> (pixels: Tensor, labels: Tensor) {
    let pictures = batch.pixels.shape[0]
    let labels = HostTensor([Int32](repeating: 0, count: pictures), shape: [pictures])
    return (try backend.upload(batch.pixels), try backend.upload(labels))
  }

  /// Gathers one view of each image: normalized x [N,H,W,C].
  private func gather(
    _ batch: (pixels: Tensor, labels: Tensor), _ count: Int, _ view: View,
    _ size: (height: Int, width: Int, channels: Int), _ channelMap: Tensor, _ precision: Precision
  ) throws -> Tensor {
    let tiles = batch.pixels.shape[0] / count
    var rows: [Int32] = []
    for image in 0..<count {
      rows += [Int32(image * tiles + view.tile), Int32(view.top), Int32(view.left), view.isFlipped ? 1 : 0]
    }
    let x = try backend.batchTensor([count, size.height, size.width, size.channels], precision.storage(on: backend))
    try backend.gatherBatch(
      images: batch.pixels, labels: batch.labels, plan: try backend.uploadBatch(HostTensor(rows, shape: [count, 4])),
      channelMap: channelMap, into: x, batchLabels: try backend.batchTensor([count], .int32))
    return x
  }
}
