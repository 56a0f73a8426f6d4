import Compute
import Support

/// File of tensors, opened: a checkpoint of `torch.save`, a safetensors file, or an index of several files of either kind.
/// Its contents are known, but no tensor has been read yet.
package struct WeightsFile {
  /// Path as the caller gave it.
  package let path: String
  /// Dictionaries of the file, nearest to its root first; one for a safetensors file.
  package let dictionaries: [TensorDictionary]
  /// Metadata of a safetensors file; empty for other files.
  package let metadata: [String: String]
  private let source: any TensorSource

  /// Opens a file. The contents of the file, not its name, determine its kind.
  /// - Throws: a ``Failure`` that names the file, and either its actual kind or the reason.
  package init(_ path: String) throws {
    let file = try InputFile(path)
    switch try FileKind(of: file) {
    case .zip: self.init(path, try PyTorchCheckpoint(archive: file))
    case .torchStream: self.init(path, try PyTorchStream.open(file))
    case .json: self.init(path, try ShardIndex(file))
    case .safetensors, nil:
      let source = try SafetensorsSource(file)
      self.init(path, source, metadata: source.metadata)
    case let kind?: throw kind.failure(.weights, about: path)
    }
  }

  private init(_ path: String, _ source: any TensorSource, metadata: [String: String] = [:]) {
    (self.path, self.source, self.metadata) = (path, source, metadata)
    dictionaries = source.dictionaries
  }

  /// Reads tensors of a dictionary; 16-bit floats become float32.
  /// - Parameters:
  ///   - index: index into ``dictionaries``.
  ///   - isWanted: predicate on the name of an entry: whether the entry is read. Every wanted entry must be a tensor and must
  ///     occur only once.
  /// - Returns: the tensors by their names in the file.
  /// - Throws: a ``Failure`` that names the file, the tensor and the reason.
  package func read(_ index: Int, where isWanted: (String) -> Bool = { _ in true }) throws -> [String: HostTensor] {
    let dictionary = dictionaries[index]
    if let kind = dictionary.unnamed {
      throw Failure(.unsupported, about: path, "its dictionary has \(kind) as a key, not a name")
    }
    let wanted = dictionary.entries.indices.filter { isWanted(dictionary.entries[$0].name) }
    for entry in wanted {
      let (name, value) = dictionary.entries[entry]
      if case .other(let kind) = value {
        throw Failure(
          .unsupported, about: path,
          "'\(shortened(name))' is \(kind): weights are tensors of float16, bfloat16, float32 or float64")
      }
    }
    try requireDistinctTensors(wanted.map { dictionary.entries[$0].name }, in: path)
    let tensors = try source.read(wanted, of: index)
    return Dictionary(uniqueKeysWithValues: zip(wanted.map { dictionary.entries[$0].name }, tensors))
  }
}

/// Index of the files that a large model is spread over, as Hugging Face's libraries write it: JSON with the file of each
/// tensor under `weight_map`. The files lie in the same folder as the index.
struct ShardIndex: TensorSource {
  let dictionaries: [TensorDictionary]
  /// Index of the file of each entry, and index of the entry in that file.
  private let places: [(shard: Int, entry: Int)]
  private let shards: [WeightsFile]

  private static let maximumByteCount = 1 << 24
  private static let maximumShards = 256

  init(_ file: borrowing InputFile) throws {
    let path = file.path
    guard file.byteCount <= Self.maximumByteCount else { throw FileKind.json.failure(.weights, about: path) }
    let json: JSON
    do { json = try JSON(parsing: try file.read()) } catch let failure as Failure {
      throw Failure(failure.kind, about: path, "this is not weights, and not valid JSON, \(failure)")
    }
    guard case .object(let members)? = json["weight_map"] else {
      throw Failure(
        .damagedFile, about: path,
        "\(FileKind.json.refusal(.weights)), and no index of files with weights, as it has no weight_map")
    }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    var (numbers, shards): ([Name: Int], [WeightsFile]) = ([:], [])
    var (dictionary, places) = (TensorDictionary(key: ""), [(shard: Int, entry: Int)]())
    var entries: [[Name: Int]] = []
    for member in members {
      guard case .string(let name) = member.value, !name.isEmpty, !name.contains("/"), name != "..", name != "." else {
        throw Failure(
          .damagedFile, about: path,
          "tensor \(JSON.string(member.key).shortened) is in \(member.value.shortened), which names no file beside it")
      }
      if numbers[Name(name)] == nil {
        guard shards.count < Self.maximumShards else {
          throw Failure(.unsupported, about: path, "it names more than \(Self.maximumShards) files")
        }
        let shard = try Self.open(folder + name, path)
        numbers[Name(name)] = shards.count
        shards.append(shard)
        entries.append(Dictionary(shard.dictionaries[0].entries.enumerated().map { (Name($1.name), $0) }) { first, _ in first })
      }
      guard let shard = numbers[Name(name)], let entry = entries[shard][Name(member.key)] else {
        throw Failure(
          .notFound, about: path,
          "tensor \(JSON.string(member.key).shortened) is not in \(folder + name), where it should be")
      }
      dictionary.entries.append(shards[shard].dictionaries[0].entries[entry])
      places.append((shard, entry))
    }
    (dictionaries, self.places, self.shards) = ([dictionary], places, shards)
  }

  private static func open(_ shard: String, _ index: String) throws -> WeightsFile {
    let file = try InputFile(shard)
    // An index that names an index, or itself, would have no end.
    if try FileKind(of: file) == .json { throw FileKind.json.failure(.weights, about: shard).about(index) }
    return try WeightsFile(shard)
  }

  func read(_ entries: [Int], of _: Int) throws -> [HostTensor] {
    var tensors = [HostTensor?](repeating: nil, count: entries.count)
    for (shard, wanted) in Dictionary(grouping: entries.indices, by: { places[entries[$0]].shard }) {
      let read = try shards[shard].read(entries: wanted.map { places[entries[$0]].entry })
      for (index, tensor) in zip(wanted, read) { tensors[index] = tensor }
    }
    return tensors.compactMap { $0 }
  }
}

extension WeightsFile {
  /// Reads tensors of the first dictionary.
  /// - Parameter entries: indices of entries that are tensors.
  fileprivate func read(entries: [Int]) throws -> [HostTensor] { try source.read(entries, of: 0) }
}
