import Checkpoints
import Compute
import Datasets
import Formats
import Images
import Models
import ONNX
import Support
import Training

/// A network in a file, read but not on a device yet: a checkpoint of this project, weights of PyTorch (`.pth`, `.safetensors`,
/// an index of shards), or an ONNX model.
///
/// ```swift
/// let checkpoint = try Checkpoint("resnet50.pth")
/// print(checkpoint.name, checkpoint.classes.count, checkpoint.imageSize)
/// ```
///
/// Formats of networks are told apart here and nowhere else.
public struct Checkpoint {
  package enum Network {
    case resNet(Weights, ResNet)
    case onnx(ONNXModel)
  }

  /// Height and width from which on networks from elsewhere are taken to be made for photographs.
  static let leastPhotograph = 64

  /// The file.
  public let path: String
  /// The network's name, for example `resnet50`.
  public let name: String
  /// Channels of the images: 3, or 1 for gray.
  public let channels: Int
  /// Class names in the order of the outputs; numbers where the file names none.
  public let classes: [String]
  /// Whether the file names the classes.
  public let namesClasses: Bool
  /// The map from pixels to the network's input; nil where the file does not tell.
  public let normalization: Normalization?
  /// The name of the data set that the network was trained on; nil for networks from elsewhere.
  public let dataset: String?
  /// Whether the file itself tells size and normalization of the images.
  public let tellsImages: Bool
  /// Preparation of photographs; nil where the file does not tell.
  public let evaluation: EvaluationRecipe?
  /// Height and width of the images that the network is meant for.
  public let imageSize: (height: Int, width: Int)
  /// Whether the network takes images of ``imageSize`` only.
  public let isSizeFixed: Bool
  package let network: Network

  /// Notices about the reading of the file, a line each: which of several weights were taken, what was left out.
  public let notices: [Message]

  /// Reads a file.
  /// - Parameters:
  ///   - path: the file. Its bytes tell what it is, its name does not.
  ///   - model: the network's name, for example `resnet50`; nil for what the file or its tensors tell.
  ///   - place: where in the file the weights stand; nil for the only place that fits.
  /// - Throws: ``Failure`` for a file that is damaged or holds no network, and where `model` or `place` is needed.
  public init(_ path: String, model: String? = nil, at place: WeightsPlace = WeightsPlace()) throws {
    try self.init(path, at: place) { classes, channels in
      model.map { ModelConfiguration(name: $0, classes: classes, channels: channels) }
    }
  }

  /// Reads a file whose network is built in a way that it does not tell.
  /// - Parameter model: the network for a number of classes and of channels; nil for what the file or its tensors tell.
  package init(
    _ path: String, at place: WeightsPlace, model: (_ classes: Int, _ channels: Int) -> ModelConfiguration?
  ) throws {
    if try ONNXModel.isModel(path) {
      if let given = model(1, 1) {
        throw Failure(
          .conflictingSetting, "\(path) is an ONNX model, which says itself what network it is",
          remedy: "leave \(Setting.model, given.name) out")
      }
      if place != WeightsPlace() {
        throw Failure(
          .conflictingSetting, "\(path) is an ONNX model, which holds one network's weights",
          remedy: "leave \(place.key == nil ? Setting.prefix : .key) out")
      }
      try self.init(path, try ONNXModel(contentsOf: path))
      return
    }
    let file = try NetworkWeights(path, at: place, model: model)
    try about(path) { try file.network.store.check(file.weights.tensors) }
    let known = try file.weights.description(as: file.network.configuration)
    try self.init(path, file.weights, file.network, known, file.notices)
  }

  private init(_ path: String, _ model: ONNXModel) throws {
    let known = try model.description()
    let size = known.training?.imageSize.map { ($0[0], $0[1]) }
    self.path = path
    (name, channels, classes, namesClasses) = (known.name, known.channels, known.classes, known.namesClasses)
    (normalization, dataset) = (known.training?.normalization, known.training?.dataset)
    (imageSize, isSizeFixed) = (known.fixedSize ?? size ?? (224, 224), known.fixedSize != nil)
    (tellsImages, evaluation) = (known.training != nil, known.training?.evaluation)
    (network, notices) = (.onnx(model), [])
  }

  /// Makes a checkpoint of weights that are read already.
  package init(
    _ path: String, _ weights: Weights, _ model: ResNet, _ known: Weights.Description, _ notices: [Message] = []
  ) throws {
    let configuration = model.configuration
    let usual = try ModelConfiguration.usualInput(of: configuration.name).side
    self.path = path
    (name, channels) = (configuration.name, configuration.channels)
    (normalization, dataset) = (known.normalization, known.dataset)
    (classes, namesClasses) = (known.classes ?? (0..<configuration.classes).map(String.init), known.classes != nil)
    (imageSize, isSizeFixed) = (known.imageSize.map { ($0[0], $0[1]) } ?? (usual, usual), false)
    (tellsImages, evaluation) = (weights.description != nil, known.evaluation)
    (network, self.notices) = (.resNet(weights, model), notices)
  }

  /// Writes the network as a checkpoint of this project, a safetensors file with the names of torchvision.
  /// - Throws: ``Failure`` for an ONNX model, and for a file that cannot be written.
  public func save(_ path: String) throws {
    guard case .resNet(let weights, let model) = network else {
      throw Failure(.unsupported, about: self.path, "an ONNX model is no checkpoint, its weights are not taken out")
    }
    var known = try weights.description(as: model.configuration)
    (known.normalization, known.dataset, known.evaluation) = (normalization, dataset, evaluation)
    known.classes = namesClasses ? classes : nil
    known.imageSize = [imageSize.height, imageSize.width]
    try weights.write(model, known, to: path)
  }
}
