import Compute
import Support

/// Dictionary of a file, by name. It may hold a network's weights and other values beside them.
package struct TensorDictionary: Sendable {
  /// Value of an entry.
  package enum Value: Sendable {
    /// A tensor of this shape that can be read.
    case tensor(Shape)
    /// A value of another kind, described for messages, for example `an integer`.
    case other(String)
  }

  /// Keys that lead to the dictionary, joined by dots; empty for the root of the file.
  package let key: String
  /// Entries in the order of the file.
  package internal(set) var entries: [(name: String, value: Value)] = []
  /// Kind of the first key that is not a name; nil if all keys are names.
  package internal(set) var unnamed: String?

  init(key: String) { self.key = key }
}

/// File from which tensors are read.
protocol TensorSource {
  var dictionaries: [TensorDictionary] { get }

  /// Reads tensors of a dictionary.
  /// - Parameters:
  ///   - entries: indices of entries that are tensors.
  ///   - dictionary: index of the dictionary.
  /// - Throws: a ``Failure`` that names the file, the tensor and the reason.
  func read(_ entries: [Int], of dictionary: Int) throws -> [HostTensor]
}

/// Safetensors file as a source of tensors, with one dictionary.
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
