import Compute
import Datasets
import Formats
import Foundation
import Images
import Models
import NN
import Support

/// Weights under torchvision's names and in its layouts, with the metadata that is needed to use them if the file has any.
public struct Weights {
  /// Tensors by torchvision's names, in its layouts: filters [K,C,R,S], linear weights [out,in], the others [C]. They have the
  /// types that the file has.
  public let tensors: [String: HostTensor]
  /// Network and normalization of the images; nil if this project did not write the file.
  public let description: Description?
  /// Place of the weights in the file.
  public let origin: Origin

  /// Place of weights in a file that holds more than these.
  public struct Origin: Sendable {
    /// Place of these weights.
    public let place: WeightsPlace
    /// Places of other networks' weights, or of other weights of this network.
    public let others: [WeightsPlace]
    /// Names in the weights' dictionary that are not used.
    public let leftOut: [String]
    /// Name that the file gives the last layer, if this does not stand among the other layers.
    public let head: String?

    /// Creates the origin of weights that are in no file.
    init() { (place, others, leftOut, head) = (WeightsPlace(), [], [], nil) }

    init(_ choice: WeightsChoice, of all: [WeightsChoice], _ file: WeightsFile) {
      place = choice.place
      others = all.map(\.place).filter { $0 != choice.place }
      let taken = Set(all.filter { $0.dictionary == choice.dictionary }.flatMap(\.names.keys))
      leftOut = file.dictionaries[choice.dictionary].entries.map(\.name).filter { !taken.contains($0) }
      head = choice.head
    }
  }

  /// Model metadata of a checkpoint, kept in the metadata of a safetensors file.
  public struct Description: Hashable, Codable, Sendable {
    /// Configuration of the network.
    public var model: ModelConfiguration
    /// Class names in the order of the logits; nil if nothing names them.
    public var classes: [String]?
    /// Normalization of the images; nil if it is not known.
    public var normalization: Normalization?
    /// Data set that the network was trained on; nil for weights from elsewhere.
    public var dataset: String?
    /// Size of the training images as [height, width]; nil if it is not known.
    public var imageSize: [Int]?
    /// Preparation of photographs for the network; nil for the usual one, and if it is not known.
    public var evaluation: EvaluationRecipe?

    /// Describes a network that is trained on a data set.
    public init(model: ModelConfiguration, dataset: some ImageSource, evaluation: EvaluationRecipe? = nil) {
      self.model = model
      classes = dataset.namesClasses ? dataset.classes : nil
      normalization = dataset.normalization
      self.dataset = dataset.name
      imageSize = [dataset.shape[1], dataset.shape[2]]
      self.evaluation = evaluation
    }

    /// Reads the description in a file's metadata; nil if this project did not write the file.
    /// - Throws: ``Failure`` if the description cannot be understood.
    public init?(metadata: [String: String]) throws {
      guard let text = metadata[Weights.key] else { return nil }
      do { self = try JSONDecoder().decode(Description.self, from: Data(text.utf8)) } catch {
        throw Failure(
          .damagedFile,
          "its metadata '\(Weights.key)' does not describe a model: it was written by another version or damaged")
      }
      let sides = ModelConfiguration.imageSides
      guard imageSize.map({ $0.count == 2 && $0.allSatisfy(sides.contains) }) ?? true else {
        throw Failure(
          .damagedFile, "its metadata '\(Weights.key)' is damaged: no images have the size \(imageSize ?? [])")
      }
      guard evaluation?.isPossible ?? true else {
        throw Failure(
          .damagedFile, "its metadata '\(Weights.key)' is damaged: it describes a resize of images that is impossible")
      }
      guard normalization?.fits(channels: model.channels) ?? true else {
        throw Failure(
          .damagedFile,
          "its metadata '\(Weights.key)' is damaged: its normalization does not fit \(model.channels) channels")
      }
    }

    /// Returns the description as metadata of a file.
    /// - Throws: never for a description that was read or made by this project.
    public func metadata() throws -> [String: String] { [Weights.key: try jsonText()] }

    /// Describes weights from elsewhere. Weights of the ImageNet family are assumed to take color images as torchvision's do.
    /// - Throws: ``Failure`` for an unknown model.
    public init(imported model: ModelConfiguration) throws {
      self.model = model
      let (side, usualClasses) = try ModelConfiguration.usualInput(of: model.name)
      if usualClasses == 1000 && model.channels == 3 {
        normalization = .imageNet
        imageSize = [side, side]
      }
    }
  }

  private static let key = "resnet"
  /// Key of the metadata in files that hold the state of a run: weights and all that training goes on from.
  package static let positionKey = "position"

  /// Returns what is known of the weights if `model` uses them. It may be built differently from what the file says.
  /// - Throws: ``Failure`` for an unknown model.
  public func description(as model: ModelConfiguration) throws -> Description {
    let imported = try Description(imported: model)
    guard var known = description else { return imported }
    if known.classes?.count != model.classes { known.classes = nil }
    if known.model.channels != model.channels { known.normalization = imported.normalization }
    known.model = model
    return known
  }

  /// Reads a network's weights from a safetensors file, a checkpoint of `torch.save` or an index of several files, whatever the
  /// extension of the path. Names of other programs become torchvision's; see ``TensorNames``.
  /// - Parameter place: place of the weights in the file; by default any place with a network's weights.
  /// - Throws: ``Failure`` if the file cannot be read, is damaged or holds no weights of a residual network, or if these hold a
  ///   NaN or an infinity; ``WeightsAmbiguity`` if it holds the weights of several networks.
  public init(contentsOf path: String, at place: WeightsPlace = WeightsPlace()) throws {
    let file = try WeightsFile(path)
    if file.metadata[Self.positionKey] != nil {
      throw Failure(
        .unsupported,
        "\(path) is the state that a run goes on from: its weights are in best.safetensors and last.safetensors")
    }
    let choices = WeightsChoice.all(in: file, at: place)
    let choice = try WeightsChoice.chosen(among: choices, in: file, at: place)
    let read = try file.read(choice.dictionary) { choice.names[$0] != nil }
    tensors = try Dictionary(read.map { (choice.names[$0] ?? $0, $1) }) { _, _ in
      throw Failure(
        .damagedFile, about: path,
        "two of its tensors have the same name in torchvision, so which is meant is not known")
    }
    origin = Origin(choice, of: choices, file)
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      // A finite float64 may be too large for float32, which the networks here use.
      guard tensor.isFinite, tensor.type != .float64 || tensor.converted(to: .float32).isFinite else {
        throw Failure(
          .diverged, about: path,
          "tensor '\(shortened(name))' has values that are not finite numbers of float32: the training that made it had diverged")
      }
      if name.hasSuffix(".running_var"), tensor.doubles.contains(where: { $0 < 0 }) {
        throw Failure(
          .damagedFile, about: path, "tensor '\(shortened(name))' has negative variances: it is damaged")
      }
    }
    do { description = try Description(metadata: file.metadata) } catch let failure as Failure {
      throw failure.about(path)
    }
  }

  /// Creates weights that are in memory.
  /// - Parameter tensors: by torchvision's names, in its layouts.
  package init(_ tensors: [(name: String, tensor: HostTensor)], _ description: Description) {
    self.tensors = Dictionary(tensors.map { ($0.name, $0.tensor) }) { first, _ in first }
    (self.description, origin) = (description, Origin())
  }

  /// Writes a model's weights and running statistics.
  /// - Throws: ``Failure`` if the file cannot be written; errors of the backend.
  public static func write(_ store: ParameterStore, _ description: Description, to path: String) throws {
    try Safetensors.write(try store.stateDictionary(), metadata: try description.metadata(), to: path)
  }

  /// Writes a model's tensors and nothing else, as float32 in torchvision's order.
  /// - Parameter description: metadata for the file; nil for a plain file, as PyTorch's own programs write it.
  /// - Throws: ``Failure`` if the tensors are not the model's or the file cannot be written.
  public func write(_ model: ResNet, _ description: Description?, to path: String) throws {
    try model.store.check(tensors)
    let ordered = model.store.entries.compactMap { entry in
      tensors[entry.name].map { (name: entry.name, tensor: $0.converted(to: .float32)) }
    }
    let metadata = try description?.metadata() ?? ["format": "pt"]
    try Safetensors.write(ordered, metadata: metadata, to: path)
  }
}
