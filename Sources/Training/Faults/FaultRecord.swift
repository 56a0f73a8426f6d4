import Compute
import Formats
import Foundation
import Models
import NN
import Support

/// A step of training in which a number was not finite, with all that is needed to compute it again: the weights and running
/// statistics before the step, its batches as the network saw them, and the settings of the run.
///
/// It is a safetensors file: the weights have torchvision's names, and `batch.0.images` are [N,H,W,C].
///
/// ```swift
/// let record = try FaultRecord(contentsOf: "runs/flowers/fault-step-12.safetensors")
/// print(record.step, record.finding?.text ?? "all numbers were finite")
/// ```
public struct FaultRecord {
  /// One batch of the step.
  struct Batch {
    /// Images [N,H,W,C] as the network saw them: normalized and augmented.
    let images: HostTensor
    /// Labels int32 [N], or [N,3] for mixed images.
    let labels: HostTensor
    /// Indices of the blocks that the batch passed by; see ``StochasticDepth``.
    let skipped: Set<Int>
  }

  /// Metadata of the file.
  struct Header: Codable {
    /// Version of the form of the file.
    var version = 1
    /// Number of the step, and of its epoch; both count from 1.
    var step, epoch: Int
    var learningRate: Double
    /// Factor of the gradients; nil if the loss was not scaled.
    var lossScale: Double?
    /// Name of the device that computed the step.
    var device: String
    /// Finding of that device when it computed the step again; nil if all numbers were finite.
    var finding: FaultFinding?
  }

  /// Settings of the run.
  public let configuration: RunConfiguration
  var header: Header
  let batches: [Batch]
  /// Weights and running statistics before the step, under torchvision's names and in its layouts.
  package let weights: [(name: String, tensor: HostTensor)]
  /// Weights of the classes in the loss, [K]; nil for none.
  let classWeights: HostTensor?

  /// Number of the step, counted from 1.
  public var step: Int { header.step }
  /// Number of the epoch, counted from 1.
  public var epoch: Int { header.epoch }
  /// Learning rate of the step.
  public var learningRate: Double { header.learningRate }
  /// Name of the device that computed the step.
  public var device: String { header.device }
  /// Finding of that device when it computed the step again; nil if all numbers were finite.
  public var finding: FaultFinding? { header.finding }
  /// Number of images of all batches.
  public var imageCount: Int { batches.reduce(0) { $0 + $1.images.shape[0] } }
  /// Shape of the largest batch, [N,H,W,C].
  package var shape: Shape { batches.map(\.images.shape).max { $0.count < $1.count } ?? [0, 0, 0, 0] }

  private static let (headerKey, configurationKey) = ("fault", "configuration")
  private static let classWeightsName = "class_weights"
  private static func names(_ batch: Int) -> (images: String, labels: String, skipped: String) {
    ("batch.\(batch).images", "batch.\(batch).labels", "batch.\(batch).skipped")
  }

  init(
    _ configuration: RunConfiguration, _ header: Header, batches: [Batch], weights: [(name: String, tensor: HostTensor)],
    classWeights: HostTensor?
  ) {
    (self.configuration, self.header, self.batches) = (configuration, header, batches)
    (self.weights, self.classWeights) = (weights, classWeights)
  }

  /// Writes the file.
  /// - Throws: ``Failure`` if it cannot be written.
  func write(to path: String) throws {
    var tensors = weights
    for (index, batch) in batches.enumerated() {
      let names = Self.names(index)
      tensors += [(names.images, batch.images), (names.labels, batch.labels)]
      if !batch.skipped.isEmpty {
        let skipped = batch.skipped.sorted().map(Int32.init)
        tensors.append((names.skipped, HostTensor(skipped, shape: [skipped.count])))
      }
    }
    if let classWeights { tensors.append((Self.classWeightsName, classWeights)) }
    let metadata = [Self.headerKey: try header.jsonText(), Self.configurationKey: try configuration.json()]
    try Safetensors.write(tensors, metadata: metadata, to: path)
  }

  /// Reads the file.
  /// - Throws: ``Failure`` if it cannot be read, is no such file, or is damaged.
  public init(contentsOf path: String) throws {
    let file = try Safetensors.read(path)
    guard let text = file.metadata[Self.headerKey], let settings = file.metadata[Self.configurationKey] else {
      throw Failure(
        .mismatch, about: path, "it holds no step of training",
        remedy: "name a file fault-step-….safetensors, which a run writes when a number is not finite")
    }
    guard let header = try? JSONDecoder().decode(Header.self, from: Data(text.utf8)) else { throw Self.damaged(path) }
    guard header.version == 1 else {
      throw Failure(.unsupported, about: path, "a newer version of this program wrote it", remedy: "use that version")
    }
    let configuration = try RunConfiguration(json: Data(settings.utf8), path: path)
    var rest = file.tensors
    var batches: [Batch] = []
    while let images = rest.removeValue(forKey: Self.names(batches.count).images) {
      let names = Self.names(batches.count)
      guard images.shape.rank == 4, images.type == .float32, let labels = rest.removeValue(forKey: names.labels),
        labels.type == .int32, labels.shape.rank > 0, labels.shape[0] == images.shape[0]
      else { throw Self.damaged(path) }
      let skipped = rest.removeValue(forKey: names.skipped)
      guard skipped.map({ $0.type == .int32 }) ?? true else { throw Self.damaged(path) }
      let blocks = skipped?.elements(as: Int32.self).map { Int($0) } ?? []
      batches.append(Batch(images: images, labels: labels, skipped: Set(blocks)))
    }
    let classWeights = rest.removeValue(forKey: Self.classWeightsName)
    guard !batches.isEmpty, classWeights.map({ $0.shape == [configuration.model.classes] && $0.type == .float32 }) ?? true
    else { throw Self.damaged(path) }
    let weights = rest.sorted { $0.key < $1.key }.map { (name: $0.key, tensor: $0.value) }
    self.init(configuration, header, batches: batches, weights: weights, classWeights: classWeights)
    do { try check() } catch let failure as Failure { throw failure.about(path) }
  }

  /// Checks that the tensors fit the network.
  private func check() throws {
    let model = try ResNet(configuration.model)
    try model.store.check(Dictionary(uniqueKeysWithValues: weights.map { ($0.name, $0.tensor) }))
    for batch in batches {
      let (classes, labels) = (configuration.model.classes, batch.labels)
      let columns = labels.shape.rank == 2 ? labels.shape[1] : 1
      let values = labels.elements(as: Int32.self)
      // Mixed images have two labels and a share.
      let areLabels = values.indices.allSatisfy { columns == 3 && $0 % 3 == 2 || (0..<classes).contains(Int(values[$0])) }
      guard columns == 1 || columns == 3, areLabels, batch.images.shape[3] == configuration.model.channels,
        model.canTrain(on: batch.images.shape), batch.skipped.allSatisfy((0..<model.blockCount).contains)
      else { throw Failure(.damagedFile, "its batch does not fit its network: it is damaged") }
    }
  }

  private static func damaged(_ path: String) -> Failure {
    Failure(.damagedFile, about: path, "what it says of the step is damaged", remedy: "take an undamaged copy of the file")
  }

  /// The first tensor that was not finite before the step: an image, a weight or a running statistic.
  public var firstInput: FaultFinding? {
    for (index, batch) in batches.enumerated() {
      let name = batches.count == 1 ? "the images" : "the images of batch \(index + 1)"
      if let found = FaultFinding(TensorFigures(batch.images.floats), of: name, batch.images.shape) { return found }
    }
    for (name, tensor) in weights {
      if let found = FaultFinding(TensorFigures(tensor.floats), of: name, tensor.shape) { return found }
    }
    return nil
  }
}
