import Compute
import Support

/// File written by `torch.save` (`.pt`, `.pth`), opened: its contents are known, but no element has been read yet.
///
/// Since PyTorch 1.6 such a file is a zip archive with a pickle, `data.pkl`, and a record of elements for each storage. Older
/// files are one stream: see ``PyTorchStream``. Nothing in the file is run: see ``Unpickler``.
final class PyTorchCheckpoint: TensorSource {
  private let pickle: Pickle
  /// Indices of the pickle's dictionaries from which ``dictionaries`` are made.
  private let indices: [Int]
  private let storages: any PyTorchStorages
  let dictionaries: [TensorDictionary]

  private static let maximumPickleByteCount = 1 << 28
  /// Maximum number of keys that lead to a dictionary.
  private static let maximumDepth = 8

  /// - Throws: a ``Failure`` that names the file and the place in it, and says what is wrong.
  init(_ pickle: Pickle, _ root: PickleValue, _ storages: any PyTorchStorages) throws {
    let found = Self.dictionaries(of: pickle, root)
    guard !found.isEmpty else {
      throw Failure(
        .unsupported, about: storages.path, "holds \(root.kind), not a state dictionary", remedy: "save model.state_dict()")
    }
    dictionaries = found.map { key, index in Self.dictionary(key, pickle, index) }
    indices = found.map(\.index)
    self.pickle = pickle
    self.storages = storages
  }

  /// Opens a zip archive.
  convenience init(archive file: consuming InputFile) throws {
    let archive = try ZipArchive(file)
    let folder = try Self.folder(of: archive)
    let (pickle, root) = try Unpickler.read(
      try archive.read("\(folder)data.pkl"), of: archive.file.path, place: "data.pkl")
    try self.init(pickle, root, PyTorchArchiveStorages(archive, folder: folder))
  }

  /// Returns the path of the folder within the archive, with a slash at the end.
  private static func folder(of archive: borrowing ZipArchive) throws -> String {
    let path = archive.file.path
    let names = archive.records.map(\.name)
    let pickles = names.filter { $0.hasSuffix("/data.pkl") }
    guard pickles.count == 1, let name = pickles.first else { throw refusal(names, pickles.count, path) }
    let folder = String(name.dropLast("data.pkl".count))
    if archive.byteCount(of: folder + "constants.pkl") != nil {
      throw Failure(
        .unsupported, about: path, "a TorchScript program", remedy: "save the model's state_dict() by torch.save instead")
    }
    if archive.byteCount(of: folder + "byteorder") != nil {
      let order = String(decoding: try archive.read(folder + "byteorder"), as: UTF8.self)
      guard order == "little" else {
        throw Failure(
          .unsupported, about: path, "its byte order is '\(shortened(order))'",
          remedy: "save it again on a little-endian machine")
      }
    }
    guard let byteCount = archive.byteCount(of: name), byteCount <= maximumPickleByteCount else {
      throw Failure(
        .unsupported, about: path, "data.pkl has more than \(maximumPickleByteCount) bytes, too many for a state dictionary")
    }
    return folder
  }

  /// Returns the error for a zip archive that `torch.save` did not write.
  private static func refusal(_ names: [String], _ pickles: Int, _ path: String) -> Failure {
    func failure(_ problem: Message, remedy: Message?) -> Failure { Failure(.damagedFile, about: path, problem, remedy: remedy) }
    if pickles > 1 {
      return failure("a zip archive with \(pickles) records data.pkl, so not what torch.save writes", remedy: nil)
    }
    let save: Message = "save the weights as safetensors, or a model's state_dict() by torch.save"
    if names.contains("model.weights.h5") { return failure("this is a Keras model, not weights of PyTorch", remedy: save) }
    if !names.isEmpty, names.allSatisfy({ $0.hasSuffix(".npy") }) {
      return failure("these are NumPy arrays (.npz), not weights", remedy: save)
    }
    let first = names.first.map { ", but '\(shortened($0))'\(names.count > 1 ? " and others" : "")" } ?? ""
    return failure("a zip archive with no record data.pkl\(first), so not what torch.save writes", remedy: "unpack it first")
  }

  // MARK: Dictionaries

  /// Finds all dictionaries that are reachable from the root by keys and by positions in lists and tuples, nearest first.
  private static func dictionaries(of pickle: Pickle, _ root: PickleValue) -> [(key: String, index: Int)] {
    var found: [(key: String, index: Int)] = []
    var (seenDictionaries, seenLists, seenTuples) = (Set<Int>(), Set<Int>(), Set<Int>())
    var level = [(key: "", value: root)]
    for _ in 0...maximumDepth {
      var next: [(key: String, value: PickleValue)] = []
      for (key, value) in level {
        let inside = { (name: String) in key.isEmpty ? name : "\(key).\(name)" }
        switch value {
        case .dictionary(let index) where seenDictionaries.insert(index).inserted:
          found.append((key, index))
          for case (.string(let name), let value) in pickle.dictionaries[index] where value.isContainer {
            next.append((inside(name), value))
          }
        case .list(let index) where seenLists.insert(index).inserted:
          for (place, value) in pickle.lists[index].enumerated() where value.isContainer {
            next.append((inside("\(place)"), value))
          }
        case .tuple(let index) where seenTuples.insert(index).inserted:
          for (place, value) in pickle.tuples[index].enumerated() where value.isContainer {
            next.append((inside("\(place)"), value))
          }
        default: break
        }
      }
      level = next
    }
    return found
  }

  private static func dictionary(_ key: String, _ pickle: Pickle, _ index: Int) -> TensorDictionary {
    var dictionary = TensorDictionary(key: key)
    for (key, value) in pickle.dictionaries[index] {
      guard case .string(let name) = key else {
        dictionary.unnamed = dictionary.unnamed ?? key.kind
        continue
      }
      if case .tensor(let index) = value {
        dictionary.entries.append((name, .tensor(Shape(pickle.tensors[index].shape))))
      } else {
        dictionary.entries.append((name, .other(value.kind)))
      }
    }
    return dictionary
  }

  // MARK: Tensors

  /// Reads tensors. float16 and bfloat16 become float32, integers of 8 and 16 bits become int32 except uint8, booleans become
  /// uint8.
  func read(_ entries: [Int], of dictionary: Int) throws -> [HostTensor] {
    let all = pickle.dictionaries[indices[dictionary]].filter { if case .string = $0.key { true } else { false } }
    let tensors = entries.map { entry -> (name: String, tensor: PyTorchTensor) in
      guard case .string(let name) = all[entry].key, case .tensor(let index) = all[entry].value else {
        preconditionFailure("[PyTorchCheckpoint] entry \(entry) is no tensor")
      }
      return (name, pickle.tensors[index])
    }
    try checkSizes(tensors)
    return try decode(tensors)
  }

  /// Checks all sizes before anything is allocated. Storages must have the size that the pickle announces. Views may show the
  /// same elements over and over, so their total size is limited to a few times the file's size.
  private func checkSizes(_ tensors: [(name: String, tensor: PyTorchTensor)]) throws {
    let path = storages.path
    let limit = max(1 << 20, storages.fileByteCount * 8)
    var total = 0
    for (name, tensor) in tensors {
      let place = "\(path): tensor '\(shortened(name))'"
      let byteCount: Int
      do { byteCount = try storages.byteCount(of: tensor.storage.key) } catch let failure as Failure {
        throw failure.about(place)
      }
      guard byteCount == tensor.storage.byteCount else {
        throw Failure(
          .damagedFile, about: place, "its storage of \(tensor.storage.count) elements is \(byteCount) bytes in the file")
      }
      let (bytes, overflow) = tensor.count.multipliedReportingOverflow(by: tensor.element.decodedType.byteCount)
      guard !overflow, bytes <= limit - total else {
        throw Failure(
          .damagedFile, about: path, "its tensors take more than \(limit) bytes, eight times the file: damaged or malicious")
      }
      total += bytes
    }
    try requireMemory(total, for: path)
  }

  private func decode(_ tensors: [(name: String, tensor: PyTorchTensor)]) throws -> [HostTensor] {
    var decoded = [HostTensor?](repeating: nil, count: tensors.count)
    // Tensors that share a storage are decoded one after another, so that the storage is read once and held no longer than
    // needed.
    let order = tensors.indices.sorted { Name(tensors[$0].tensor.storage.key) < Name(tensors[$1].tensor.storage.key) }
    var (key, bytes): (Name?, [UInt8]) = (nil, [])
    for index in order {
      let tensor = tensors[index].tensor
      if key != Name(tensor.storage.key) { (key, bytes) = (Name(tensor.storage.key), try storages.read(tensor.storage.key)) }
      decoded[index] = tensor.decode(bytes)
    }
    return decoded.compactMap { $0 }
  }
}

extension PickleValue {
  /// Whether the value may contain a dictionary.
  fileprivate var isContainer: Bool {
    switch self {
    case .dictionary, .list, .tuple: true
    default: false
    }
  }
}
