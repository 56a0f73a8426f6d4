import Compute
import Datasets
import Models
import NN
import Support

/// Loss and accuracy over some images.
public struct Metrics: Hashable, Sendable {
  /// Number of images measured.
  public var images: Int
  /// Mean cross-entropy.
  public var loss: Double
  /// Top-1 and top-5 accuracy: shares of images whose label ranks first, or among the first five.
  public var top1, top5: Double

  /// Computes the means.
  /// - Parameter sums: sums [3] that ``Backend/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)`` accumulates.
  init(sums: [Double], images: Int) {
    self.images = images
    loss = sums[0] / Double(images)
    top1 = sums[1] / Double(images)
    top5 = sums[2] / Double(images)
  }
}

extension ModelConfiguration {
  /// Checks that a data set fits the model.
  /// - Throws: ``Failure`` if the images or labels of the data set are not what the model is built for.
  public func check(_ dataset: some LabeledImages) throws {
    let (found, known) = (dataset.shape[3], dataset.classes.count)
    if found != channels {
      throw Failure(
        .mismatch, "\(name) is built for images of \(channels) channels, those of \(dataset.name) have \(found)")
    }
    if known > classes {
      throw Failure(.mismatch, "\(name) is built for \(classes) classes, \(dataset.name) has \(known)")
    }
  }
}

/// Accuracy of a classifier on labeled images, class by class.
public struct Evaluation: Sendable {
  /// Metrics over all images.
  public let metrics: Metrics
  /// Class names in the order of the labels.
  public var classes: [String]
  /// Number of images for each pair of label and prediction, by the key label · classes + prediction. Absent pairs have none.
  private let counts: [Int: Int]

  init(metrics: Metrics, classes: [String], counts: [Int: Int]) {
    self.metrics = metrics
    self.classes = classes
    self.counts = counts
  }

  /// Entry of the confusion matrix: number of images of class `label` that were classified as `prediction`.
  public subscript(label: Int, prediction: Int) -> Int { counts[label * classes.count + prediction] ?? 0 }

  /// Result for one class.
  public struct ClassRecord: Sendable, Hashable {
    /// Class name.
    public var name: String
    /// Number of images of this class.
    public var images = 0
    /// Number of images classified correctly.
    public var right = 0
    /// Class that the other images were mistaken for most often; nil if no image was classified wrongly.
    public var confusion: Confusion?

    /// Class that images were mistaken for.
    public struct Confusion: Sendable, Hashable {
      /// Name of the confused class.
      public let name: String
      /// Number of images mistaken for it.
      public let images: Int
    }

    /// Share of images classified correctly; nil for a class without images.
    public var accuracy: Double? { images > 0 ? Double(right) / Double(images) : nil }
  }

  /// Results for all classes, in the order of the labels.
  public var perClass: [ClassRecord] {
    var records = classes.map { ClassRecord(name: $0) }
    // Sorting decides ties: of equally frequent confusions, the one with the lower class index counts.
    for (key, count) in counts.sorted(by: { $0.key < $1.key }) {
      let (label, prediction) = key.quotientAndRemainder(dividingBy: classes.count)
      records[label].images += count
      if label == prediction {
        records[label].right = count
      } else if count > records[label].confusion?.images ?? 0 {
        records[label].confusion = .init(name: classes[prediction], images: count)
      }
    }
    return records
  }
}

extension Classifier {
  /// Measures loss, accuracy and confusions over labeled images, without label smoothing.
  /// - Parameters:
  ///   - progress: called after each batch with the number of images done; returns false to stop early.
  ///   - onDamage: called for each image that cannot be decoded and is left out.
  /// - Returns: nil if `progress` stopped the evaluation.
  /// - Throws: ``Failure`` if the images do not fit the network or none of them can be decoded; errors of the backend.
  public func evaluate(
    _ images: any ImageBatches, _ normalization: Normalization, precision: Precision = .fp32,
    progress: (Int) throws -> Bool = { _ in true }, onDamage: (Failure) -> Void = { _ in }
  ) throws -> Evaluation? {
    var (sums, count, counts) = ([0.0, 0.0, 0.0], 0, [Int: Int]())
    let isDone = try run(over: images, normalization, precision: precision, progress: progress) { batch, outputs in
      for failure in batch.failures { onDamage(failure.reason) }
      if outputs.isEmpty { return }
      let scores = Scores(outputs, areProbabilities: givesProbabilities)
      for (image, label) in batch.labels.map(Int.init).enumerated() {
        let row = scores.row(image)
        let rank = scores.rank(of: label, image: image)
        sums[0] -= row[row.startIndex + label]
        sums[1] += rank == 0 ? 1 : 0
        sums[2] += rank < 5 ? 1 : 0
        counts[label * scores.classes + scores.prediction(of: image), default: 0] += 1
      }
      count += batch.labels.count
    }
    guard isDone else { return nil }
    guard count > 0 else { throw Failure(.damagedFile, "none of the images can be decoded") }
    return Evaluation(metrics: Metrics(sums: sums, images: count), classes: classes, counts: counts)
  }
}

extension ResNet {
  /// Measures loss and accuracy over a whole data set, as it is, with running statistics and without label smoothing. Training
  /// does this after each epoch. The device adds up the figures of a batch.
  /// - Parameter progress: called after each batch with the share done; returns false to stop early.
  /// - Returns: nil if `progress` stopped the evaluation.
  public func evaluate(
    _ data: any BatchSource, batchSize: Int, progress: (Double) throws -> Bool = { _ in true }
  ) throws -> Metrics? {
    let backend = store.backend
    let plan = EpochPlan(inOrder: data.count)
    let loaded = try data.load(plan, batches: plan.batches(of: batchSize, keepShort: true), from: 0)
    var images = 0
    var sums = [0.0, 0.0, 0.0]
    // A few batches may be in flight on the device. Each has its own sums, which are added here in double precision.
    var pending: [any Readback] = []
    func collect(downTo count: Int) throws {
      while pending.count > count {
        let values = try pending.removeFirst().wait().doubles
        for i in sums.indices { sums[i] += values[i] }
      }
    }
    let folded = FoldedParameters()
    for index in loaded.batches.indices {
      guard let (x, labels) = try loaded.batch(index) else { continue }
      images += x.shape[0]
      let metrics = try backend.tensor([3])
      try backend.fill(metrics, with: 0)
      let pass = Pass(on: backend, mode: .inference, folded: folded)
      try pass.crossEntropy(try self(Variable(x), pass), labels: labels, metrics: metrics)
      pending.append(try backend.readLater(metrics))
      try collect(downTo: 2)
      guard try progress(Double(index + 1) / Double(loaded.batches.count)) else { return nil }
    }
    try collect(downTo: 0)
    guard images > 0 else {
      throw Failure(
        .damagedFile, "none of the \(data.count) images to measure on can be decoded", remedy: "mend them")
    }
    return Metrics(sums: sums, images: images)
  }
}
