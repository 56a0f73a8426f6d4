import Compute
import Datasets
import Models
import NN

/// Network with its weights on a device, ready to classify batches of images.
///
/// ```swift
/// func describe(_ classifier: any Classifier) {
///   print(classifier.name, classifier.channels, classifier.classes.count)
/// }
/// ```
public protocol Classifier: AnyObject {
  var backend: any Backend { get }
  /// Name of the network in messages, for example `resnet50`.
  var name: String { get }
  /// Number of channels of the images.
  var channels: Int { get }
  /// Height and width that the images must have; nil if any size will do.
  var imageSize: (height: Int, width: Int)? { get }
  /// Class names in the order of the outputs.
  var classes: [String] { get }
  /// Normalization of the pixels for the network's input; nil if it is not known.
  var normalization: Normalization? { get }
  /// Whether the outputs are probabilities rather than logits.
  var givesProbabilities: Bool { get }
  /// Runs the network on a batch: normalized x [N,H,W,C] → [N,classes].
  /// - Throws: ``Failure`` if the images do not fit the network; errors of the backend.
  func callAsFunction(_ x: Tensor) throws -> Tensor
}

/// Residual network as a classifier. It uses running statistics, and its batch normalization is folded into the convolutions.
public final class ResNetClassifier: Classifier {
  /// Layer whose results are the outputs.
  public enum Output: Sendable {
    /// The last layer, which gives the logits.
    case logits
    /// The mean over the pixels before it. The outputs are features, which are numbered instead of named.
    case features
  }

  public let classes: [String]
  public let normalization: Normalization?
  package let model: ResNet
  private let output: Output
  private let folded = FoldedParameters()

  public var backend: any Backend { model.store.backend }
  public var name: String { model.configuration.name }
  public var channels: Int { model.configuration.channels }
  public var imageSize: (height: Int, width: Int)? { nil }
  public var givesProbabilities: Bool { false }

  /// Puts the weights on a device.
  /// - Parameters:
  ///   - model: network of the weights, not allocated yet.
  ///   - classes: class names in the order of the logits.
  ///   - normalization: normalization of the pixels for the network's input; nil if it is not known.
  ///   - output: layer whose results are the outputs.
  /// - Throws: ``Failure`` if the weights are not the network's; errors of the backend.
  public init(
    _ weights: Weights, _ model: ResNet, classes: [String], normalization: Normalization?, output: Output = .logits,
    on backend: any Backend
  ) throws {
    (self.model, self.normalization, self.output) = (model, normalization, output)
    self.classes = output == .logits ? classes : (0..<model.featureCount).map(String.init)
    try model.store.allocate(on: backend, gradients: false)
    try model.store.load(weights.tensors)
  }

  /// Makes a classifier of a network whose weights are on a device.
  /// - Parameters: as in ``init(_:_:classes:normalization:output:on:)``; without names, the classes are numbered.
  public init(_ model: ResNet, classes: [String]? = nil, normalization: Normalization? = nil) {
    self.classes = classes ?? (0..<model.configuration.classes).map(String.init)
    (self.model, self.normalization, output) = (model, normalization, .logits)
  }

  public func callAsFunction(_ x: Tensor) throws -> Tensor {
    let pass = Pass(on: backend, mode: .inference, folded: folded)
    return try output == .logits ? model(Variable(x), pass).value : model.features(of: Variable(x), pass).value
  }
}
