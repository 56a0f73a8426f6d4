import Compute

/// A dictionary of a file, by name: what may be a network's weights, and whatever else is beside it.
public struct TensorDictionary: Sendable {
  /// Value that a name stands for.
  public enum Value: Sendable {
    /// A tensor of this shape that can be read.
    case tensor(Shape)
    /// Anything else, of a kind that is described for messages, for example `an integer`.
    case other(String)
  }

  /// The keys that lead to it, joined by dots; empty for the file's own.
  public let key: String
  /// Entries in the order of the file.
  public internal(set) var entries: [(name: String, value: Value)] = []
  /// The kind of a key that is no name; nil where all are.
  public internal(set) var unnamed: String?

  init(key: String) { self.key = key }
}

/// A file that tensors are read from.
protocol TensorSource {
  var dictionaries: [TensorDictionary] { get }

  /// - Parameters:
  ///   - entries: numbers of entries that are tensors.
  ///   - dictionary: its number.
  /// - Throws: a ``Failure`` that names the file, the tensor and what is wrong with it.
  func read(_ entries: [Int], of dictionary: Int) throws -> [HostTensor]
}

/// A safetensors file as a source of tensors: one dictionary.
final class SafetensorsSource: TensorSource {
  private let file: InputFile
  private let header: SafetensorsHeader
  let dictionaries: [TensorDictionary]

  var metadata: [String: String] { header.metadata }

  init(_ file: consuming InputFile) throws {
    header = try SafetensorsHeader(file)
    var dictionary = TensorDictionary(key: "")
    dictionary.entries = header.entries.map { entry in
      (entry.name, entry.type == nil ? .other("a tensor of \(shortened(entry.typeName))") : .tensor(Shape(entry.shape)))
    }
    dictionaries = [dictionary]
    self.file = file
  }

  func read(_ entries: [Int], of _: Int) throws -> [HostTensor] {
    try requireMemory(file.byteCount, for: file.path)
    return try entries.map { try Safetensors.read(header.entries[$0], file, header) }
  }
}
