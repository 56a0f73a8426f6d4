import Compute
import Datasets
import Models
import NN

/// A network with its weights on a device, ready to classify batches of images.
public protocol Classifier: AnyObject {
  var backend: any Backend { get }
  /// What messages call the network, for example `resnet50`.
  var name: String { get }
  /// Channels of the images.
  var channels: Int { get }
  /// Height and width that the images must have; nil where any will do.
  var imageSize: (height: Int, width: Int)? { get }
  /// Class names in the order of the outputs.
  var classes: [String] { get }
  /// How pixels become the network's input; nil where it is not known.
  var normalization: Normalization? { get }
  /// Whether outputs are probabilities already rather than logits.
  var givesProbabilities: Bool { get }
  /// x [N,H,W,C], normalised → [N,classes].
  /// - Throws: ``Failure`` for images that do not fit the network; what the backend throws.
  func callAsFunction(_ x: Tensor) throws -> Tensor
}

/// A residual network as a classifier: with running estimates, batch normalisation folded into the convolutions.
public final class ResNetClassifier: Classifier {
  public let classes: [String]
  public let normalization: Normalization?
  private let model: ResNet
  private let folded = FoldedParameters()

  public var backend: any Backend { model.store.backend }
  public var name: String { model.configuration.name }
  public var channels: Int { model.configuration.channels }
  public var imageSize: (height: Int, width: Int)? { nil }
  public var givesProbabilities: Bool { false }

  /// Puts the weights on a device.
  /// - Parameters:
  ///   - model: their network, not allocated yet.
  ///   - classes: their names in the order of the logits.
  ///   - normalization: how pixels become the network's input; nil where it is not known.
  /// - Throws: ``Failure`` where the weights are not the network's; what the backend throws.
  public init(
    _ weights: Weights, _ model: ResNet, classes: [String], normalization: Normalization?, on backend: any Backend
  ) throws {
    (self.model, self.classes, self.normalization) = (model, classes, normalization)
    try model.store.allocate(on: backend, gradients: false)
    try model.store.load(weights.tensors)
  }

  public func callAsFunction(_ x: Tensor) throws -> Tensor {
    try model(Variable(x), Pass(on: backend, mode: .inference, folded: folded)).value
  }
}
