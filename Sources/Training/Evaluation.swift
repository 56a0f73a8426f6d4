import Compute
import Datasets
import Models
import NN

/// Loss and hits over some images.
public struct Metrics: Hashable, Sendable {
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

extension ResNet {
  /// Loss and accuracy over a whole data set, as it is, with running estimates and without smoothing.
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
