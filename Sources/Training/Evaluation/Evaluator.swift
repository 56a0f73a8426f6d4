import Checkpoints
import Compute
import Datasets
import Images
import Support

extension Classifier {
  /// Measures loss and accuracy over labeled images, without label smoothing. The device adds up the figures of a batch, and
  /// sends nothing else back if the network gives logits for one view.
  /// - Parameter progress: called after each batch with the number of images done; returns false to stop early.
  /// - Returns: nil if `progress` stopped the run.
  /// - Throws: a ``Failure`` if the images do not fit the network or none of them can be loaded; errors of the backend.
  public func measure(
    _ images: BatchLoader, batchSize: Int, progress: (Int) throws -> Bool = { _ in true }
  ) throws -> Metrics? {
    try measure(images, batchSize: batchSize, progress: progress, onBatch: nil)
  }

  /// Measures loss, accuracy and confusions over labeled images, without label smoothing.
  /// - Parameters:
  ///   - worst: number of the worst mistakes to name.
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  /// - Returns: nil if `progress` stopped the run.
  /// - Throws: a ``Failure`` if the images do not fit the network, if its outputs are not finite, or if none of the images can
  ///   be loaded; errors of the backend.
  public func evaluate(
    _ images: BatchLoader, batchSize: Int, worst: Int = 0, progress: (Int) throws -> Bool = { _ in true }
  ) throws -> Evaluation? {
    try evaluate(images, batchSize: batchSize, worst: worst, requiresFinite: true, progress: progress)
  }

  /// - Parameter requiresFinite: whether outputs that are not finite are an error. Otherwise the loss tells of them, and the
  ///   images of their batches count in the metrics alone.
  func evaluate(
    _ images: BatchLoader, batchSize: Int, worst: Int, requiresFinite: Bool, progress: (Int) throws -> Bool
  ) throws -> Evaluation? {
    let classes = classes
    var (counts, mistakes) = ([Int: Int](), WorstMistakes(limit: worst))
    let metrics = try measure(images, batchSize: batchSize, requiresFinite: requiresFinite, progress: progress) { batch, logits in
      let predictions = logits.largestColumns
      for (item, prediction) in zip(batch.items, predictions) {
        counts[Int(item.label) * classes.count + prediction, default: 0] += 1
      }
      mistakes.add(batch.items, predictions, logits)
    }
    return metrics.map { Evaluation(metrics: $0, classes: classes, counts: counts, worst: mistakes.mistakes) }
  }

  /// - Parameter onBatch: called with each batch and its logits [N,K], averaged over views; nil if only the metrics are wanted.
  private func measure(
    _ images: BatchLoader, batchSize: Int, requiresFinite: Bool = true, progress: (Int) throws -> Bool,
    onBatch: ((ImageBatch, _ logits: HostTensor) -> Void)?
  ) throws -> Metrics? {
    try images.images.source.requireLabels(below: classes.count)
    // The device adds up the logits of the only view as they are. Other outputs are combined on the host and sent back.
    let isDirect = images.images.views.count == 1 && !givesProbabilities
    var sums = MetricSums()
    var combined = InFlight<Int>()
    let isDone = try run(over: images, batchSize: batchSize, progress: progress) { outputs, labels in
      let logits = isDirect && onBatch == nil ? [] : try outputs.map { try backend.readLater($0) }
      return isDirect ? [try metrics(outputs[0], labels)] + logits : logits
    } _: { batch, values in
      if values.isEmpty { return }
      if isDirect { sums.add(values[0], images: batch.items.count) }
      let outputs = values.dropFirst(isDirect ? 1 : 0)
      guard var logits = outputs.first else { return }
      if !requiresFinite, !outputs.allSatisfy(\.isFinite) { return }
      try requireFinite(outputs)
      if !isDirect {
        logits = Scores(values, areProbabilities: givesProbabilities).logits
        let labels = HostTensor(batch.items.map(\.label), shape: [batch.items.count])
        combined.add(batch.items.count, [try metrics(try backend.uploadBatch(logits), try backend.uploadBatch(labels))])
        try combined.collect { sums.add($1[0], images: $0) }
      }
      onBatch?(batch, logits)
    }
    guard isDone else { return nil }
    try combined.collect(leaving: 0) { sums.add($1[0], images: $0) }
    guard sums.images > 0 else {
      throw Failure(.damagedFile, "none of the \(images.count) images to measure on can be decoded", remedy: "mend them")
    }
    return Metrics(sums)
  }

  /// Lets the device add up the figures of a batch, and starts to read them back.
  /// - Returns: sums [3] as ``MetricSums`` takes them.
  func metrics(_ logits: Tensor, _ labels: Tensor) throws -> any Readback {
    let metrics = try backend.tensor([3])
    try backend.fill(metrics, with: 0)
    try backend.crossEntropy(logits, labels: labels, smoothing: 0, metrics: metrics, gradient: nil, lossScale: nil)
    return try backend.readLater(metrics)
  }
}

/// Sums of the figures of batches, in double precision.
struct MetricSums {
  /// Number of images measured.
  private(set) var images = 0
  /// Σ loss, and the numbers of images whose label ranks first and among the first five.
  private(set) var sums = [0.0, 0.0, 0.0]

  /// Adds a batch.
  /// - Parameter metrics: sums [3] that ``LossOperations/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)``
  ///   accumulates.
  mutating func add(_ metrics: HostTensor, images: Int) {
    self.images += images
    for (index, value) in metrics.doubles.enumerated() { sums[index] += value }
  }
}

extension HostTensor {
  /// Index of the largest element of each row [N,K]; of equal elements, the lower index.
  fileprivate var largestColumns: [Int] {
    let (values, columns) = (doubles, shape[1])
    return stride(from: 0, to: values.count, by: columns).map { begin in
      (0..<columns).reduce(0) { values[begin + $1] > values[begin + $0] ? $1 : $0 }
    }
  }
}
