import Compute
import Formats
import Models
import Support

/// Place of a network's weights in a file.
///
/// ```swift
/// let checkpoint = try Checkpoint("training.pth", at: WeightsPlace(key: "state_dict_ema"))
/// ```
public struct WeightsPlace: Hashable, Sendable, CustomStringConvertible {
  /// Keys that lead to the dictionary of the weights, joined by dots. Empty for the file's own dictionary, nil for any.
  public var key: String?
  /// Prefix of all names, with its dot. Empty for none, nil for any.
  public var prefix: String?

  /// Makes a place; by default it is anywhere.
  public init(key: String? = nil, prefix: String? = nil) { (self.key, self.prefix) = (key, prefix) }

  /// Text for messages, for example `under 'state_dict', named 'model.…'`.
  public var description: String {
    let parts = [
      key.map { $0.isEmpty ? "" : "under '\(shortened($0))'" }, prefix.map { $0.isEmpty ? "" : "named '\(shortened($0))…'" },
    ].compactMap { $0 }.filter { !$0.isEmpty }
    return parts.isEmpty ? "at the top" : parts.joined(separator: ", ")
  }
}

/// Error thrown if a file holds the weights of several networks, any of which may be meant.
public struct WeightsAmbiguity: Error, CustomStringConvertible {
  /// Path of the file.
  public let path: String
  /// Places of the weights.
  public let places: [WeightsPlace]

  public var description: String {
    "\(path) holds the weights of \(places.count) networks: \(places.map(\.description).joined(separator: "; "))"
  }
}

/// Tensors of a file that may be the weights of a network.
struct WeightsChoice {
  /// Index of the dictionary among the file's dictionaries.
  let dictionary: Int
  let place: WeightsPlace
  /// Map from the names of the file to those of torchvision.
  let names: [String: String]
  /// Shapes of the tensors that can be read, by torchvision's names.
  let shapes: [String: Shape]
  /// Name that the file gives the last layer, if this does not stand among the other layers.
  let head: String?

  /// Words in keys and names that mark moving averages of weights and networks that only help in training.
  private static let averages = ["ema", "average", "averaged", "swa", "teacher", "momentum", "target"]

  private var isAverage: Bool {
    let words = "\(place.key ?? "").\(place.prefix ?? "")".lowercased().split { !$0.isLetter }
    return words.contains { Self.averages.contains(String($0)) }
  }

  /// Returns all weights in the file that may be meant, in the order of the file.
  static func all(in file: WeightsFile, at place: WeightsPlace) -> [WeightsChoice] {
    file.dictionaries.enumerated().filter { place.key == nil || place.key == $1.key }.flatMap { index, dictionary in
      let names = Set(dictionary.entries.map(\.name))
      let found = TensorNames.prefixes(in: names)
      let wanted = place.prefix.map { prefix in names.contains { $0.hasPrefix(prefix) } ? [prefix] : [] } ?? found
      return wanted.map { prefix in
        // A separate network nested in this one is not part of it.
        let inner = found.filter { $0.count > prefix.count && $0.hasPrefix(prefix) }
        return WeightsChoice(dictionary, index, names, prefix: prefix, without: inner)
      }
    }
  }

  private init(
    _ dictionary: TensorDictionary, _ index: Int, _ all: Set<String>, prefix: String, without inner: [String]
  ) {
    self.dictionary = index
    place = WeightsPlace(key: dictionary.key, prefix: prefix)
    let trunk = all.filter { name in name.hasPrefix(prefix) && !inner.contains { name.hasPrefix($0) } }
    var names = Dictionary(uniqueKeysWithValues: trunk.map { ($0, TensorNames.torchvision(String($0.dropFirst(prefix.count)))) })
    let outer = prefix.dropLast().lastIndex(of: ".").map { prefix[...$0] } ?? ""
    let bases = [prefix] + (prefix.isEmpty ? [] : [String(outer)])
    let heads = bases.flatMap { base in TensorNames.heads.map { base + $0 } }
    let head = heads.first { all.contains("\($0)weight") }
    if let head {
      for part in ["weight", "bias"] where all.contains(head + part) { names[head + part] = "\(ResNet.head).\(part)" }
    }
    let isUsual = head.map { $0.hasPrefix(prefix) || (prefix == "\(outer)resnet." && $0 == "\(outer)classifier.1.") }
    self.head = isUsual == false ? head.map { String($0.dropLast()) } : nil
    self.names = names
    var shapes: [String: Shape] = [:]
    for (name, value) in dictionary.entries {
      if case .tensor(let shape) = value, let own = names[name] { shapes[own] = shape }
    }
    self.shapes = shapes
  }

  /// Whether these are the tensors of a network that this project knows.
  private func fits(ignoringHead: Bool) -> Bool {
    !ModelConfiguration.candidates(for: shapes, ignoringHead: ignoringHead).isEmpty
  }

  /// Returns the only weights that fit a network; otherwise the only ones that fit except for the last layer; otherwise the only
  /// ones in the file. If several fit, those whose names do not mark an average are preferred.
  /// - Throws: ``Failure`` if there are no weights, ``WeightsAmbiguity`` if several remain.
  static func chosen(among all: [WeightsChoice], in file: WeightsFile, at place: WeightsPlace) throws -> WeightsChoice {
    guard let first = all.first else { throw missing(in: file, at: place) }
    if all.count == 1 { return first }
    var fitting = all.filter { $0.fits(ignoringHead: false) }
    if fitting.isEmpty { fitting = all.filter { $0.fits(ignoringHead: true) } }
    if fitting.isEmpty { fitting = all }
    if fitting.count > 1, case let plain = fitting.filter({ !$0.isAverage }), !plain.isEmpty { fitting = plain }
    guard fitting.count == 1 else { throw WeightsAmbiguity(path: file.path, places: fitting.map(\.place)) }
    return fitting[0]
  }

  /// Returns the error for a file without the weights. It says what the file holds instead.
  private static func missing(in file: WeightsFile, at place: WeightsPlace) -> Failure {
    let dictionaries = file.dictionaries.filter { place.key == nil || place.key == $0.key }
    if dictionaries.isEmpty {
      let keys = file.dictionaries.map(\.key).filter { !$0.isEmpty }
      let others = keys.isEmpty ? "" : ": there are \(listed(keys.map { "'\($0)'" }, atMost: 3))"
      return Failure(.notFound, about: file.path, "no dictionary is \(WeightsPlace(key: place.key))\(others)")
    }
    let tensors = dictionaries.flatMap(\.entries).compactMap { entry -> String? in
      if case .tensor(let shape) = entry.value { "'\(shortened(entry.name))' \(shape)" } else { nil }
    }
    if tensors.isEmpty {
      return Failure(.notFound, about: file.path, "there are no tensors in it\(other(dictionaries))")
    }
    if let prefix = place.prefix {
      return Failure(
        .notFound, about: file.path,
        "no tensor is named '\(shortened(prefix))…': there are \(listed(tensors, atMost: 3))")
    }
    return Failure(
      .notFound, about: file.path,
      "no residual network's weights: it holds \(listed(tensors, atMost: 3)), and among the names 'conv1.weight', "
        + "'layer1.0.conv1.weight' … were expected, those of torchvision, timm or transformers, whatever stands before them")
  }

  /// Describes the first entry of a place that holds no tensors, as the end of a message.
  private static func other(_ dictionaries: [TensorDictionary]) -> String {
    let found = dictionaries.flatMap(\.entries).compactMap { entry -> String? in
      if case .other(let kind) = entry.value { "'\(shortened(entry.name))' is \(kind)" } else { nil }
    }
    return found.first.map { ": \($0)" } ?? ""
  }
}
