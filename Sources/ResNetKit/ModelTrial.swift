import Compute
import Models
import NN
import Support

/// Model on random images, to be timed.
package struct ModelTrial {
  private let network: ResNet
  private let optimizer: Optimizer
  private let images, labels, metrics: Tensor
  private let recompute: Bool
  private let backend: any Backend
  private let folded = FoldedParameters()

  /// - Parameter shape: shape of the images, [N,H,W,C].
  /// - Throws: ``Failure`` if the images do not fit the model; errors of the backend.
  package init(
    _ configuration: ModelConfiguration, images shape: Shape, _ options: TrainingOptions, on backend: any Backend
  ) throws {
    (self.backend, recompute) = (backend, options.recompute)
    network = try ResNet(configuration)
    try network.store.allocate(on: backend, seed: 0)
    optimizer = try Optimizer(
      network.store, options.optimizer, scalingLoss: options.precision.needsLossScaling, guarding: options.guardsSteps ? 1 : nil)
    var random = Philox(seed: 0, stream: 0)
    images = try backend.uploadBatch(
      HostTensor((0..<shape.count).map { _ in random.uniform() * 2 - 1 }, shape: shape),
      as: options.precision.storage(on: backend))
    labels = try backend.uploadBatch(
      HostTensor((0..<shape[0]).map { _ in Int32(random.below(configuration.classes)) }, shape: [shape[0]]))
    metrics = try backend.tensor([3])
    try backend.fill(metrics, with: 0)
  }

  /// Enqueues a training step.
  package func train() throws {
    try network.trainingStep(
      images: images, labels: labels, recompute: recompute, metrics: metrics, optimizer, learningRate: 1e-3)
  }

  /// Enqueues inference of the batch.
  package func infer() throws {
    _ = try network(Variable(images), Pass(on: backend, mode: .inference, folded: folded))
  }

  /// Number of steps before those that are timed.
  package static let untimedSteps = 2

  /// Returns the number of images a second: the median over `steps` steps, each waited for, after ``untimedSteps``.
  /// - Parameter progress: called after each step, outside the time that is measured.
  package func imagesPerSecond(
    _ steps: Int, _ step: () throws -> Void, progress: () -> Void = {}
  ) throws -> Double {
    for _ in 0..<Self.untimedSteps {
      try step()
      try backend.finish()
      progress()
    }
    let seconds = try (0..<steps).map { _ in
      let start = ContinuousClock.now
      try step()
      try backend.finish()
      defer { progress() }
      return (ContinuousClock.now - start).seconds
    }
    return Double(images.shape[0]) / seconds.median
  }
}
