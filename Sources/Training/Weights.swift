import Compute
import Datasets
import Formats
import Foundation
import Images
import Models
import NN

/// Weights under torchvision's names and layouts, with what is needed to use them where the file tells.
public struct Weights {
  /// By torchvision's names, in its layouts: filters [K,C,R,S], linear weights [out,in], the others [C]; of any type that the file has.
  public let tensors: [String: HostTensor]
  /// The network and the images' normalisation, where this project wrote the file.
  public let description: Description?
  /// Their place in the file.
  public let origin: Origin

  /// The place of weights in a file that holds more.
  public struct Origin: Sendable {
    /// Their place.
    public let place: WeightsPlace
    /// Places of other networks' weights, or of others of this one.
    public let others: [WeightsPlace]
    /// Names in the weights' dictionary that are not taken.
    public let leftOut: [String]
    /// The file's name of the last layer, where that does not stand among the others.
    public let head: String?

    init(_ choice: WeightsChoice, of all: [WeightsChoice], _ file: WeightsFile) {
      place = choice.place
      others = all.map(\.place).filter { $0 != choice.place }
      let taken = Set(all.filter { $0.dictionary == choice.dictionary }.flatMap(\.names.keys))
      leftOut = file.dictionaries[choice.dictionary].entries.map(\.name).filter { !taken.contains($0) }
      head = choice.head
    }
  }

  /// What a checkpoint says of itself, in a safetensors file's metadata.
  public struct Description: Hashable, Codable, Sendable {
    /// How the network is built.
    public var model: ModelConfiguration
    /// Class names in the order of the logits; nil where nothing names them.
    public var classes: [String]?
    /// Nil where it is not known.
    public var normalization: Normalization?
    /// The data set that the network was trained on; nil for weights from elsewhere.
    public var dataset: String?
    /// [height, width] of the images it was trained on; nil where they are not known.
    public var imageSize: [Int]?
    /// Preparation of photographs for it; nil for the usual manner, and where that is not known.
    public var evaluation: EvaluationRecipe?

    /// Of a network that is trained on a data set.
    public init(model: ModelConfiguration, dataset: some LabelledImages, evaluation: EvaluationRecipe? = nil) {
      self.model = model
      classes = dataset.namesClasses ? dataset.classes : nil
      normalization = dataset.normalization
      self.dataset = dataset.name
      imageSize = [dataset.shape[1], dataset.shape[2]]
      self.evaluation = evaluation
    }

    /// What a file's metadata says; nil where this project did not write it.
    /// - Throws: ``Failure`` where it cannot be understood.
    public init?(metadata: [String: String]) throws {
      guard let text = metadata[Weights.key] else { return nil }
      do { self = try JSONDecoder().decode(Description.self, from: Data(text.utf8)) } catch {
        throw Failure("its metadata '\(Weights.key)' does not describe a model: it was written by another version or damaged")
      }
      let sides = 1...RunConfiguration.largestImage
      guard imageSize.map({ $0.count == 2 && $0.allSatisfy(sides.contains) }) ?? true else {
        throw Failure("its metadata '\(Weights.key)' is damaged: no images have the size \(imageSize ?? [])")
      }
      guard evaluation?.isPossible ?? true else {
        throw Failure("its metadata '\(Weights.key)' is damaged: it describes a resize of images that is impossible")
      }
      guard normalization?.fits(channels: model.channels) ?? true else {
        throw Failure("its metadata '\(Weights.key)' is damaged: its normalization does not fit \(model.channels) channels")
      }
    }

    /// As a file's metadata says it.
    /// - Throws: never for a description that was read or made by this project.
    public func metadata() throws -> [String: String] { [Weights.key: try Weights.encode(self)] }

    /// For weights from elsewhere. Those of the ImageNet family are taken to want colour images as torchvision's do.
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

  /// What is known of the weights as those of a network, which may be built otherwise than the file says.
  /// - Throws: ``Failure`` for an unknown model.
  public func description(as model: ModelConfiguration) throws -> Description {
    let imported = try Description(imported: model)
    guard var known = description else { return imported }
    if known.classes?.count != model.classes { known.classes = nil }
    if known.model.channels != model.channels { known.normalization = imported.normalization }
    known.model = model
    return known
  }

  /// Reads a network's weights from a safetensors file, a checkpoint of `torch.save` or an index of several files, whatever the path
  /// ends in. Names of other programs become torchvision's, see ``TensorNames``.
  /// - Parameter place: where they stand in the file; by default wherever a network's weights are.
  /// - Throws: ``Failure`` where the file cannot be read, is damaged, holds no residual network's weights, or these hold a NaN or an
  ///   infinity; ``WeightsAmbiguity`` where it holds several.
  public init(contentsOf path: String, at place: WeightsPlace = WeightsPlace()) throws {
    let file = try WeightsFile(path)
    if RunFolder.isState(file.metadata) {
      throw Failure("\(path) is the state that a run goes on from: its weights are in best.safetensors and last.safetensors")
    }
    let choices = WeightsChoice.all(in: file, at: place)
    let choice = try WeightsChoice.chosen(among: choices, in: file, at: place)
    let read = try file.read(choice.dictionary) { choice.names[$0] != nil }
    tensors = try Dictionary(read.map { (choice.names[$0] ?? $0, $1) }) { _, _ in
      throw Failure("\(path): two of its tensors have the same name in torchvision, so which is meant is not known")
    }
    origin = Origin(choice, of: choices, file)
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      // float64 may hold more than the networks here do.
      guard tensor.isFinite, tensor.type != .float64 || tensor.converted(to: .float32).isFinite else {
        throw Failure(
          "\(path): tensor '\(shortened(name))' has values that are not finite numbers of float32: the training that made it had "
            + "diverged")
      }
      if name.hasSuffix(".running_var"), tensor.doubles.contains(where: { $0 < 0 }) {
        throw Failure("\(path): tensor '\(shortened(name))' has negative variances: it is damaged")
      }
    }
    do { description = try Description(metadata: file.metadata) } catch let failure as Failure {
      throw Failure("\(path): \(failure)")
    }
  }

  /// Writes a model's weights and running estimates.
  /// - Throws: ``Failure`` where the file cannot be written; what the backend throws.
  public static func write(_ store: ParameterStore, _ description: Description, to path: String) throws {
    try Safetensors.write(try store.stateDictionary(), metadata: try description.metadata(), to: path)
  }

  /// Writes a model's tensors, and nothing else, as float32 in torchvision's order.
  /// - Parameter description: what to say of them; nil for a plain file, as PyTorch's own programs write it.
  /// - Throws: ``Failure`` where these are not the model's tensors and where the file cannot be written.
  public func write(_ model: ResNet, _ description: Description?, to path: String) throws {
    try model.store.check(tensors)
    let ordered = model.store.entries.compactMap { entry in
      tensors[entry.name].map { (name: entry.name, tensor: $0.converted(to: .float32)) }
    }
    let metadata = try description?.metadata() ?? ["format": "pt"]
    try Safetensors.write(ordered, metadata: metadata, to: path)
  }

  /// JSON with sorted keys, so that equal values give equal bytes.
  static func encode(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}
