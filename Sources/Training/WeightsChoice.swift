import Compute
import Formats
import Models

/// The place of a network's weights in a file.
public struct WeightsPlace: Hashable, Sendable, CustomStringConvertible {
  /// The keys that lead to their dictionary, joined by dots; empty for the file's own. Nil for wherever they are.
  public var key: String?
  /// The prefix of all names, with its dot; empty for none. Nil for whatever it is.
  public var prefix: String?

  /// A place; by default anywhere.
  public init(key: String? = nil, prefix: String? = nil) { (self.key, self.prefix) = (key, prefix) }

  /// Words for messages, for example `under 'state_dict', named 'model.…'`.
  public var description: String {
    let parts = [
      key.map { $0.isEmpty ? "" : "under '\(shortened($0))'" }, prefix.map { $0.isEmpty ? "" : "named '\(shortened($0))…'" },
    ].compactMap { $0 }.filter { !$0.isEmpty }
    return parts.isEmpty ? "at the top" : parts.joined(separator: ", ")
  }
}

/// Thrown where a file holds several networks' weights that may be meant.
public struct WeightsAmbiguity: Error, CustomStringConvertible {
  /// The file.
  public let path: String
  /// Places of the weights.
  public let places: [WeightsPlace]

  public var description: String {
    "\(path) holds the weights of \(places.count) networks: \(places.map(\.description).joined(separator: "; "))"
  }
}

/// Tensors of a file that may be a network's.
struct WeightsChoice {
  /// Number of the dictionary among the file's.
  let dictionary: Int
  let place: WeightsPlace
  /// torchvision's names by those of the file.
  let names: [String: String]
  /// Shapes of the tensors that can be read, by torchvision's names.
  let shapes: [String: Shape]
  /// The file's name of the last layer, where that does not stand among the other layers.
  let head: String?

  /// Words in keys and names that tell moving averages of weights and networks that only help in training.
  private static let averages = ["ema", "average", "averaged", "swa", "teacher", "momentum", "target"]

  private var isAverage: Bool {
    let words = "\(place.key ?? "").\(place.prefix ?? "")".lowercased().split { !$0.isLetter }
    return words.contains { Self.averages.contains(String($0)) }
  }

  /// The weights that may be meant, all that the file holds in the order of the file.
  static func all(in file: WeightsFile, at place: WeightsPlace) -> [WeightsChoice] {
    file.dictionaries.enumerated().filter { place.key == nil || place.key == $1.key }.flatMap { index, dictionary in
      let names = Set(dictionary.entries.map(\.name))
      let found = TensorNames.prefixes(in: names)
      let wanted = place.prefix.map { prefix in names.contains { $0.hasPrefix(prefix) } ? [prefix] : [] } ?? found
      return wanted.map { prefix in
        // A network of its own within this one is not part of it.
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

  /// Whether these are the tensors of a network that is known here.
  private func fits(ignoringHead: Bool) -> Bool {
    !ModelConfiguration.candidates(for: shapes, ignoringHead: ignoringHead).isEmpty
  }

  /// The only weights that fit a network, else the only ones that fit but for the last layer, else the only ones; of several those that
  /// are not said to be an average.
  /// - Throws: ``Failure`` where there are none, ``WeightsAmbiguity`` where there are several.
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

  /// Says what is there instead of weights.
  private static func missing(in file: WeightsFile, at place: WeightsPlace) -> Failure {
    let dictionaries = file.dictionaries.filter { place.key == nil || place.key == $0.key }
    if dictionaries.isEmpty {
      let keys = file.dictionaries.map(\.key).filter { !$0.isEmpty }
      return Failure(
        "\(file.path): no dictionary is \(WeightsPlace(key: place.key))"
          + (keys.isEmpty ? "" : ": there are \(listed(keys.map { "'\($0)'" }, atMost: 3))"))
    }
    let tensors = dictionaries.flatMap(\.entries).compactMap { entry -> String? in
      if case .tensor(let shape) = entry.value { "'\(shortened(entry.name))' \(shape)" } else { nil }
    }
    if tensors.isEmpty { return Failure("\(file.path): there are no tensors in it" + other(dictionaries)) }
    if let prefix = place.prefix {
      return Failure("\(file.path): no tensor is named '\(shortened(prefix))…': there are \(listed(tensors, atMost: 3))")
    }
    return Failure(
      "\(file.path): no residual network's weights: it holds \(listed(tensors, atMost: 3)), and among the names 'conv1.weight', "
        + "'layer1.0.conv1.weight' … were expected, those of torchvision, timm or transformers, whatever stands before them")
  }

  /// A description of a place that holds no tensors.
  private static func other(_ dictionaries: [TensorDictionary]) -> String {
    let found = dictionaries.flatMap(\.entries).compactMap { entry -> String? in
      if case .other(let kind) = entry.value { "'\(shortened(entry.name))' is \(kind)" } else { nil }
    }
    return found.first.map { ": \($0)" } ?? ""
  }
}
