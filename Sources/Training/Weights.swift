import Compute
import Datasets
import Formats
import Foundation
import Models
import NN

/// Weights in a safetensors file under torchvision's names and layouts, with what is needed to use them in its metadata.
public struct Weights {
  public let tensors: [String: HostTensor]
  /// The network and the images' normalisation, where this project wrote the file.
  public let description: Description?

  /// What a checkpoint says of itself.
  public struct Description: Hashable, Codable, Sendable {
    public var model: ModelConfiguration
    /// Class names in the order of the logits.
    public var classes: [String]
    public var normalization: Normalization
    public var dataset: String
    /// Height and width of the images it was trained on.
    public var imageSize: [Int]

    public init(model: ModelConfiguration, dataset: some LabelledImages) {
      self.model = model
      classes = dataset.classes
      normalization = dataset.normalization
      self.dataset = dataset.name
      imageSize = [dataset.shape[1], dataset.shape[2]]
    }
  }

  private static let key = "resnet"

  /// - Throws: ``Failure`` where the file cannot be read, is damaged, or holds a NaN or an infinity.
  public init(contentsOf path: String) throws {
    let file = try Safetensors.read(path)
    tensors = file.tensors
    if let (name, _) = tensors.sorted(by: { $0.key < $1.key }).first(where: { !$0.value.isFinite }) {
      throw Failure("\(path): tensor '\(name)' has values that are not finite numbers: the training that made it had diverged")
    }
    description = try file.metadata[Self.key].map { text in
      do { return try JSONDecoder().decode(Description.self, from: Data(text.utf8)) } catch {
        throw Failure(
          "\(path): its metadata '\(Self.key)' does not describe a model: it was written by another version or damaged")
      }
    }
  }

  /// Writes a model's weights and running estimates.
  /// - Throws: ``Failure`` where the file cannot be written; what the backend throws.
  public static func write(_ store: ParameterStore, _ description: Description, to path: String) throws {
    try Safetensors.write(try store.stateDictionary(), metadata: [key: try encode(description)], to: path)
  }

  /// JSON with sorted keys, so that equal values give equal bytes.
  static func encode(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}
