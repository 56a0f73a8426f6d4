import Compute
import Datasets
import Models
import NN

/// Loss and hits over some images.
public struct Metrics: Hashable, Sendable {
  /// Those that were measured on.
  public var images: Int
  /// Mean cross-entropy.
  public var loss: Double
  /// Shares of images whose label ranks first, and among the first five.
  public var top1, top5: Double

  /// - Parameter sums: [3], what ``Backend/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)`` adds up.
  init(sums: [Double], images: Int) {
    self.images = images
    loss = sums[0] / Double(images)
    top1 = sums[1] / Double(images)
    top5 = sums[2] / Double(images)
  }
}

extension ModelConfiguration {
  /// - Throws: ``Failure`` where a data set's images or labels are not what the model is built for.
  public func check(_ dataset: some LabelledImages) throws {
    let (found, known) = (dataset.shape[3], dataset.classes.count)
    if found != channels {
      throw Failure("\(name) is built for images of \(channels) channels, those of \(dataset.name) have \(found)")
    }
    if known > classes { throw Failure("\(name) is built for \(classes) classes, \(dataset.name) has \(known)") }
  }
}

/// What a classifier gets right of labelled images, class by class.
public struct Evaluation: Sendable {
  /// Over all images.
  public let metrics: Metrics
  /// The classes' names in the order of the labels.
  public var classes: [String]
  /// Images of a class that were taken for one, by label · classes + prediction; those that are not here were none.
  private let counts: [Int: Int]

  init(metrics: Metrics, classes: [String], counts: [Int: Int]) {
    self.metrics = metrics
    self.classes = classes
    self.counts = counts
  }

  /// The confusion matrix: images of the class `label` that were taken for `prediction`.
  public subscript(label: Int, prediction: Int) -> Int { counts[label * classes.count + prediction] ?? 0 }

  /// One class's part of an evaluation.
  public struct ClassRecord: Sendable, Hashable {
    /// The class's.
    public var name: String
    /// Of the class.
    public var images = 0
    /// Those that were taken for what they are.
    public var right = 0
    /// What the others were taken for most often, and how many; nil where there are none.
    public var confusion: Confusion?

    /// A class that images were taken for wrongly.
    public struct Confusion: Sendable, Hashable {
      /// Its name.
      public let name: String
      /// How many were.
      public let images: Int
    }

    /// The share that is right; nil for a class without images.
    public var accuracy: Double? { images > 0 ? Double(right) / Double(images) : nil }
  }

  /// In the order of the labels.
  public var perClass: [ClassRecord] {
    var records = classes.map { ClassRecord(name: $0) }
    // In this order, of equally frequent confusions the first counts.
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
  /// Loss, accuracy and confusions over labelled images, without smoothing.
  /// - Parameters:
  ///   - progress: told of the images done after each batch; returns false to stop early.
  ///   - onDamage: told of images that cannot be decoded and are left out.
  /// - Returns: nil where `progress` stopped it.
  /// - Throws: ``Failure`` for images that do not fit the network, and where none can be decoded; what the backend throws.
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
    guard count > 0 else { throw Failure("none of the images can be decoded") }
    return Evaluation(metrics: Metrics(sums: sums, images: count), classes: classes, counts: counts)
  }
}

extension ResNet {
  /// Loss and accuracy over a whole data set, as it is, with running estimates and without smoothing: what training measures after
  /// each epoch, added up on the device.
  /// - Parameter progress: told the share done after each batch; returns false to stop early.
  /// - Returns: nil where `progress` stopped it.
  public func evaluate(
    _ data: any BatchSource, batchSize: Int, progress: (Double) throws -> Bool = { _ in true }
  ) throws -> Metrics? {
    let backend = store.backend
    let plan = EpochPlan(inOrder: data.count)
    let loaded = try data.load(plan, batches: plan.batches(of: batchSize, keepShort: true), from: 0)
    var images = 0
    var sums = [0.0, 0.0, 0.0]
    // A few batches may wait on the device; each has its own sums, added here in double precision.
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
    guard images > 0 else { throw Failure("none of the \(data.count) images to measure on can be decoded: mend them") }
    return Metrics(sums: sums, images: images)
  }
}
