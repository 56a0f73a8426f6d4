import Checkpoints
import Compute
import Datasets
import Foundation
import Models
import NN
import Support

/// Figures of the convolutions of a network on one batch: norms of gradients, and standard deviations of responses (He et al. 2015,
/// figure 7).
package struct LayerProbe: Hashable, Codable, Sendable {
  /// One convolution. A value is nil if it is not finite.
  package struct Layer: Hashable, Codable, Sendable {
    /// Name in torchvision, for example `layer1.0.conv1`.
    package let name: String
    /// Euclidean norm of the gradient of the mean loss with respect to the filter.
    package let gradient: Double?
    /// Standard deviation of the results over all images, pixels and channels: after normalization or bias, before the shortcut and
    /// ReLU; and after both.
    package let response, activation: Double?

    package init(_ name: String, gradient: Double?, response: Double?, activation: Double?) {
      (self.name, self.gradient, self.response, self.activation) = (name, gradient, response, activation)
    }
  }

  /// Convolutions in the order in which they run, without those of shortcuts.
  package let layers: [Layer]

  package init(layers: [Layer]) { self.layers = layers }

  /// Largest number of images of the batch.
  private static let mostImages = 128

  /// Measures a network on a batch of training images, as they are. It is the same batch for all networks and seeds. Normalization
  /// uses the statistics of the batch.
  /// - Parameters:
  ///   - run: settings of the run, whose seed tells the initial weights.
  ///   - weights: file of weights; nil for the initial ones.
  /// - Throws: ``Failure`` if images or weights cannot be read, or do not fit; errors of the backend.
  package init(_ run: RunConfiguration, _ images: any ImageSource, weights: String? = nil, on backend: any Backend) throws {
    let model = try ResNet(run.model)
    try model.store.allocate(on: backend, seed: run.seed)
    if let weights { try model.store.load(try Weights(contentsOf: weights).tensors) }
    let loader = try BatchLoader(images, streams: true, on: backend)
    let plan = EpochPlan(seed: 0, epoch: 0, count: images.count, shuffle: true, augmentation: nil)
    let size = min(run.batchSize, images.count, Self.mostImages)
    guard let batch = try loader.load(plan, batches: [0..<size]).batch(0) else {
      throw Failure(.damagedFile, "none of \(size) training images can be decoded", remedy: "mend them")
    }
    layers = try Self.measure(model, batch.x, batch.labels, smoothing: run.labelSmoothing)
  }

  private static func measure(_ model: ResNet, _ x: Tensor, _ labels: Tensor, smoothing: Double) throws -> [Layer] {
    let backend = model.store.backend
    let pass = Pass(on: backend, mode: .training)
    var (names, deviations) = ([String](), [Pass.ObservedStage: [String: Double]]())
    pass.onResponse = { layer, stage, y in
      if layer.contains(".downsample.") { return }
      if stage == .response { names.append(layer) }
      deviations[stage, default: [:]][layer] = deviation(of: try backend.download(y).doubles)
    }
    let metrics = try backend.tensor([3])
    try backend.fill(metrics, with: 0)
    let logits = try model(Variable(x), pass)
    try pass.crossEntropy(logits, labels: labels, smoothing: smoothing, metrics: metrics)
    try withExtendedLifetime(logits) { try pass.backward() }
    let norms = Dictionary(
      uniqueKeysWithValues: try model.store.norms(of: model.store.gradientsArena).map { ($0.parameter.name, $0.norm) })
    func finite(_ value: Double?) -> Double? { value.flatMap { $0.isFinite ? $0 : nil } }
    return names.map { name in
      Layer(
        name, gradient: finite(norms["\(name).weight"]), response: finite(deviations[.response]?[name]),
        activation: finite(deviations[.activation]?[name]))
    }
  }

  /// Returns the standard deviation of values, with the divisor n.
  private static func deviation(of values: [Double]) -> Double {
    let mean = values.reduce(0, +) / Double(values.count)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
  }
}

/// Probes of a run: before training, and with its last weights.
package struct RunProbes: Hashable, Codable, Sendable {
  package let initial: LayerProbe
  /// nil if the run diverged before its first epoch was done.
  package let last: LayerProbe?

  package init(initial: LayerProbe, last: LayerProbe?) { (self.initial, self.last) = (initial, last) }
}

extension RunFolder {
  /// Path of the probes of the run's layers, ``RunProbes`` as JSON.
  package var probesPath: String { "\(path)/probes.json" }

  /// Measures the layers of the run, and keeps the figures.
  /// - Throws: as ``LayerProbe`` does; ``Failure`` if the file cannot be written.
  package func probe(_ run: RunConfiguration, _ images: any ImageSource, on backend: any Backend) throws {
    let initial = try LayerProbe(run, images, on: backend)
    let last = InputFile.exists(lastPath) ? try LayerProbe(run, images, weights: lastPath, on: backend) : nil
    try Folder.make(path)
    try AtomicFile.write(try RunProbes(initial: initial, last: last).jsonText() + "\n", to: probesPath)
  }

  /// Reads the probes of the run; nil if there are none.
  /// - Throws: ``Failure`` if the file is damaged.
  package func probes() throws -> RunProbes? {
    guard InputFile.exists(probesPath) else { return nil }
    do { return try JSONDecoder().decode(RunProbes.self, from: Data(try InputFile(probesPath).read())) } catch is DecodingError {
      throw Failure(.damagedFile, about: probesPath, "it is damaged", remedy: "remove it")
    }
  }
}
