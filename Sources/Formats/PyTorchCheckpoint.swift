import Compute

/// Checkpoints as `torch.save` writes them (`.pt`, `.pth`), since PyTorch 1.6: a zip archive of a pickle, `data.pkl`, and a
/// record of elements for each storage, `data/0`, `data/1` …
///
/// Nothing in the file is run: see ``Unpickler``. Only the tensors of the state dictionary are read, one storage after another.
public enum PyTorchCheckpoint {
  /// Where a training program may keep the state dictionary among other things, the first that is there.
  public static let stateDictionaryKeys = ["state_dict", "model", "model_state_dict"]
  /// What wrappers of modules put before every name: DataParallel, and torch.compile.
  public static let wrapperPrefixes = ["module.", "_orig_mod."]

  private static let maximumPickleByteCount = 1 << 24

  /// Whether the file begins as one, of the present format or the one before.
  /// - Throws: a ``Failure`` where the file cannot be read.
  public static func isCheckpoint(_ path: String) throws -> Bool {
    let file = try InputFile(path)
    let start = try file.read(min(8, file.byteCount), at: 0)
    return start.starts(with: [0x50, 0x4B]) || isPickle(start)
  }

  /// Reads the state dictionary: the file's dictionary, or the one in it under ``stateDictionaryKeys``. Where all names begin
  /// with one of ``wrapperPrefixes``, it is left out. float16 and bfloat16 become float32, the integers of 8 and 16 bits int32,
  /// but for uint8, and booleans uint8.
  /// - Throws: a ``Failure`` that names the file, the tensor or the place in the pickle, and what is wrong.
  public static func read(_ path: String) throws -> [String: HostTensor] {
    let file = try InputFile(path)
    if isPickle(try file.read(min(8, file.byteCount), at: 0)) {
      throw Failure(
        "\(path): a PyTorch file of the format before PyTorch 1.6: load it there and save it again by torch.save of "
          + "PyTorch 1.6 or later")
    }
    let archive = try ZipArchive(file)
    let prefix = try prefix(archive)
    let tensors = try tensors(archive, "\(prefix)data.pkl")
    try checkSizes(tensors, archive, prefix)
    return try decode(tensors, archive, prefix)
  }

  /// A pickle begins with its protocol. So may the length of a safetensors header, of which then the upper half is zero.
  private static func isPickle(_ start: [UInt8]) -> Bool {
    start.count >= 8 && start[0] == 0x80 && (2...5).contains(start[1]) && start[4...].contains { $0 != 0 }
  }

  /// The folder within the archive, with its slash.
  private static func prefix(_ archive: borrowing ZipArchive) throws -> String {
    let path = archive.file.path
    let pickles = archive.records.map(\.name).filter { $0.hasSuffix("/data.pkl") }
    guard pickles.count == 1, let name = pickles.first else {
      let reason = pickles.isEmpty ? "no record data.pkl" : "\(pickles.count) records data.pkl"
      throw Failure("\(path): a zip archive with \(reason), so not what torch.save writes")
    }
    let prefix = String(name.dropLast("data.pkl".count))
    if archive.byteCount(of: prefix + "constants.pkl") != nil {
      throw Failure("\(path): a TorchScript program: save the model's state_dict() by torch.save instead")
    }
    if archive.byteCount(of: prefix + "byteorder") != nil {
      let order = String(decoding: try archive.read(prefix + "byteorder"), as: UTF8.self)
      guard order == "little" else {
        throw Failure("\(path): its byte order is '\(shortened(order))': save it again on a little-endian machine")
      }
    }
    guard let byteCount = archive.byteCount(of: name), byteCount <= maximumPickleByteCount else {
      throw Failure("\(path): data.pkl has more than \(maximumPickleByteCount) bytes, too many for a state dictionary")
    }
    return prefix
  }

  /// The state dictionary, by name, without wrappers' prefixes.
  private static func tensors(
    _ archive: borrowing ZipArchive, _ record: String
  ) throws -> [(name: String, tensor: PyTorchTensor)] {
    let path = archive.file.path
    let (pickle, root) = try Unpickler.read(try archive.read(record), place: "\(path): data.pkl")
    guard case .dictionary(let index) = root else {
      throw Failure("\(path): holds \(root.kind), not a state dictionary: save model.state_dict()")
    }
    var entries = pickle.dictionaries[index]
    nested: for key in stateDictionaryKeys {
      for case (.string(key), .dictionary(let inner)) in entries {
        entries = pickle.dictionaries[inner]
        break nested
      }
    }
    var tensors: [(name: String, tensor: PyTorchTensor)] = []
    for (key, value) in entries {
      guard case .string(let name) = key else { throw Failure("\(path): its dictionary has \(key.kind) as a key, not a name") }
      guard case .tensor(let index) = value else {
        let known = stateDictionaryKeys.joined(separator: ", ")
        throw Failure(
          "\(path): '\(shortened(name))' is \(value.kind), not a tensor, so this is no state dictionary, and none is under "
            + known)
      }
      tensors.append((name, pickle.tensors[index]))
    }
    try requireDistinctTensors(tensors.map(\.name), in: path)
    let isWrapped = { (prefix: String) in !tensors.isEmpty && tensors.allSatisfy { $0.name.hasPrefix(prefix) } }
    while let prefix = wrapperPrefixes.first(where: isWrapped) {
      tensors = tensors.map { (String($0.name.dropFirst(prefix.count)), $0.tensor) }
    }
    return tensors
  }

  /// Before anything is allocated: storages have the size that the pickle announces, and views of them, which may show the same
  /// elements over and over, take no more than a few times the file.
  private static func checkSizes(
    _ tensors: [(name: String, tensor: PyTorchTensor)], _ archive: borrowing ZipArchive, _ prefix: String
  ) throws {
    let path = archive.file.path
    let limit = max(1 << 20, archive.file.byteCount * 8)
    var total = 0
    for (name, tensor) in tensors {
      let record = "\(prefix)data/\(tensor.storage.key)"
      guard let byteCount = archive.byteCount(of: record) else {
        throw Failure("\(path): tensor '\(shortened(name))': the zip record '\(shortened(record))' is missing")
      }
      guard byteCount == tensor.storage.byteCount else {
        throw Failure(
          "\(path): tensor '\(shortened(name))': its storage of \(tensor.storage.count) elements is \(byteCount) bytes in "
            + "the file")
      }
      let (bytes, overflow) = tensor.count.multipliedReportingOverflow(by: tensor.element.decodedType.byteCount)
      guard !overflow, bytes <= limit - total else {
        throw Failure("\(path): its tensors take more than \(limit) bytes, eight times the file: damaged or malicious")
      }
      total += bytes
    }
    try requireMemory(total, for: path)
  }

  private static func decode(
    _ tensors: [(name: String, tensor: PyTorchTensor)], _ archive: borrowing ZipArchive, _ prefix: String
  ) throws -> [String: HostTensor] {
    var decoded: [String: HostTensor] = [:]
    // Tensors that share a storage follow each other, so that it is read once and held only as long.
    let sorted = tensors.sorted { Name($0.tensor.storage.key) < Name($1.tensor.storage.key) }
    var (key, bytes): (Name?, [UInt8]) = (nil, [])
    for (name, tensor) in sorted {
      if key != Name(tensor.storage.key) {
        (key, bytes) = (Name(tensor.storage.key), try archive.read("\(prefix)data/\(tensor.storage.key)"))
      }
      decoded[name] = tensor.decode(bytes)
    }
    return decoded
  }
}
