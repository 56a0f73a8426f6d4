import Checkpoints
import Compute
import Datasets
import Models
import NN
import Support

/// Measures the loss of a network at other weights than its own: θ + a·δ + b·η for two directions δ and η.
///
/// The running statistics of batch normalization stay as they are, as in the program of Li et al. 2018. The images lie on the
/// device, in the precision of the loader, and only weights are sent for a point.
package final class LandscapeProbe {
  /// Direction δ of a and direction η of b.
  package let directions: (x: WeightDirection, y: WeightDirection)
  private let classifier: ResNetClassifier
  private let batches: [(x: Tensor, labels: Tensor)]
  /// Parameters that move, with their values at a = b = 0.
  private let origin: [(parameter: Parameter, values: [Float])]

  private var store: ParameterStore { classifier.model.store }

  /// Puts all images on the device.
  /// - Parameter progress: called after each batch; returns false to stop.
  /// - Throws: a ``Failure`` for labels that the network does not have, if no image can be decoded, or if they do not fit into
  ///   the memory of the device; `CancellationError` if `progress` stopped; errors of the backend.
  package init(
    _ classifier: ResNetClassifier, _ images: BatchLoader, batchSize: Int, directions: (x: WeightDirection, y: WeightDirection),
    progress: () -> Bool = { true }
  ) throws {
    (self.classifier, self.directions) = (classifier, directions)
    try classifier.check(images.images)
    try images.images.source.requireLabels(below: classifier.classes.count)
    let plan = EpochPlan(inOrder: images.count)
    let loaded = try images.load(plan, batches: plan.batches(of: batchSize, keepShort: true))
    batches = try loaded.batches.indices.compactMap {
      guard progress() else { throw CancellationError() }
      return try loaded.batch($0)
    }
    if batches.isEmpty {
      throw Failure(.damagedFile, "none of the \(images.count) images to measure on can be decoded", remedy: "mend them")
    }
    let (store, backend) = (classifier.model.store, classifier.backend)
    let moving = store.parameters.filter { directions.x.values[$0.name] != nil || directions.y.values[$0.name] != nil }
    origin = try moving.map { ($0, try backend.download($0.value).floats) }
  }

  /// Measures the loss at θ + a·δ + b·η. The weights stay there.
  /// - Throws: errors of the backend.
  package func metrics(_ a: Double, _ b: Double) throws -> Metrics {
    try move(a, b)
    // Other weights need new folded filters.
    let folded = FoldedParameters()
    var (sums, inFlight) = (MetricSums(), InFlight<Int>())
    for (x, labels) in batches {
      let pass = Pass(on: classifier.backend, mode: .inference, folded: folded)
      let logits = try classifier.model(Variable(x), pass).value
      inFlight.add(x.shape[0], [try classifier.metrics(logits, labels)])
      try inFlight.collect { sums.add($1[0], images: $0) }
    }
    try inFlight.collect(leaving: 0) { sums.add($1[0], images: $0) }
    return Metrics(sums)
  }

  /// Measures the loss on a grid. The network has its own weights again in the end.
  /// - Parameters:
  ///   - steps: number of points along each direction, odd.
  ///   - range: largest a and b.
  ///   - progress: called after each point with the number of points done; returns false to stop early.
  /// - Returns: nil if `progress` stopped the work.
  /// - Throws: errors of the backend.
  package func landscape(steps: Int, range: Double, progress: (Int) throws -> Bool = { _ in true }) throws -> LossLandscape? {
    let offsets = LossLandscape.offsets(steps: steps, range: range)
    var points: [Metrics] = []
    for b in offsets {
      for a in offsets {
        points.append(try metrics(a, b))
        guard try progress(points.count) else {
          try move(0, 0)
          return nil
        }
      }
    }
    try move(0, 0)
    return LossLandscape(offsets: offsets, points: points)
  }

  private func move(_ a: Double, _ b: Double) throws {
    for (parameter, values) in origin {
      var moved = values
      for (factor, direction) in [(Float(a), directions.x), (Float(b), directions.y)] where factor != 0 {
        guard let steps = direction.values[parameter.name] else { continue }
        for index in moved.indices { moved[index] += factor * steps[index] }
      }
      try store.assign(parameter.name, HostTensor(moved, shape: parameter.shape))
    }
  }
}
