import Support

/// Format of `torch.save` before PyTorch 1.6 (`torch/serialization.py`, `_legacy_save`): five pickles, one after another,
/// followed by the storages.
///
/// The pickles are: a magic number, the format version, a description of the machine, the saved value, and the list of the
/// storages' keys. The storages follow in the order of that list. Each consists of the number of elements in eight bytes,
/// little-endian, and the elements.
enum PyTorchStream {
  private static let version = 1001
  /// Number of bytes that are read first for the pickles. More are read if the pickles do not end there.
  private static let firstByteCount = 1 << 20
  private static let maximumPickleByteCount = 1 << 28

  private struct Contents {
    var pickle: Pickle
    var root: PickleValue
    var keys: [String]
    /// File offset at which the storages begin.
    var end: Int
  }

  /// - Throws: a ``Failure`` that names the file and the place in it, and says what is wrong.
  static func open(_ file: consuming InputFile) throws -> PyTorchCheckpoint {
    let contents = try contents(file)
    let places = try places(contents, file)
    return try PyTorchCheckpoint(contents.pickle, contents.root, PyTorchStreamStorages(file, places))
  }

  private static func contents(_ file: borrowing InputFile) throws -> Contents {
    let limit = min(file.byteCount, maximumPickleByteCount)
    var count = min(firstByteCount, limit)
    while true {
      do { return try contents(try file.read(count, at: 0), file.path) } catch let early as PickleBytes.EndsEarly {
        guard count < limit else {
          if count == file.byteCount { throw early.failure }
          throw Failure(
            .unsupported, about: file.path, "its pickles have more than \(count) bytes, too many for a state dictionary")
        }
        count = min(4 * count, limit)
      }
    }
  }

  private static func contents(_ bytes: [UInt8], _ path: String) throws -> Contents {
    var end = 0
    let next = { try Unpickler.read(bytes, from: &end, of: path, place: "its pickles") }
    _ = try next()
    guard case .integer(version) = try next().root else {
      throw Failure(
        .unsupported, about: path, "a PyTorch file of a version that is not known", remedy: "save it again by a later PyTorch")
    }
    let system = try next()
    guard case .dictionary(let index) = system.root else {
      throw Failure(.damagedFile, about: path, "it does not tell the machine it is from")
    }
    for case (.string("little_endian"), .boolean(false)) in system.pickle.dictionaries[index] {
      throw Failure(
        .unsupported, about: path, "it is from a big-endian machine", remedy: "save it again on a little-endian one")
    }
    let (pickle, root) = try next()
    let list = try next()
    guard case .list(let index) = list.root else {
      throw Failure(.damagedFile, about: path, "\(list.root.kind) where its storages' keys should be")
    }
    let keys = list.pickle.lists[index].compactMap { if case .string(let key) = $0 { key } else { nil } }
    guard keys.count == list.pickle.lists[index].count else {
      throw Failure(.damagedFile, about: path, "a storage's key is no string")
    }
    return Contents(pickle: pickle, root: root, keys: keys, end: end)
  }

  /// Returns the byte range of each storage's elements in the file, by key.
  private static func places(_ contents: Contents, _ file: borrowing InputFile) throws -> [Name: Range<Int>] {
    let path = file.path
    let sizes = try elementSizes(contents.pickle, path)
    var places: [Name: Range<Int>] = [:]
    var end = contents.end
    for key in contents.keys {
      let storage = "the storage '\(shortened(key))'"
      guard let size = sizes[Name(key)] else {
        throw Failure(.unsupported, about: path, "\(storage) is of a type that is not read, so what follows it is not found")
      }
      guard file.byteCount - end >= 8 else {
        throw Failure(.damagedFile, about: path, "\(storage) is not there; the file is truncated")
      }
      var field = ByteFields(try file.read(8, at: end))
      let count = field.integer(8)
      let left = file.byteCount - end - 8
      guard count >= 0, count <= left / size else {
        throw Failure(
          .damagedFile, about: path,
          "\(storage) of \(count) elements has only \(left) bytes; the file is truncated or damaged")
      }
      guard places.updateValue(end + 8..<end + 8 + count * size, forKey: Name(key)) == nil else {
        throw Failure(.damagedFile, about: path, "\(storage) is there twice")
      }
      end += 8 + count * size
    }
    guard end == file.byteCount else {
      throw Failure(
        .damagedFile, about: path, "\(file.byteCount - end) bytes follow its last storage; the file is damaged")
    }
    return places
  }

  /// Returns the element size of each storage in bytes, by key.
  private static func elementSizes(_ pickle: Pickle, _ path: String) throws -> [Name: Int] {
    try pickle.storageSizes.mapValues { sizes in
      guard sizes.count == 1, let size = sizes.first else {
        throw Failure(.damagedFile, about: path, "a storage is referred to as of two types")
      }
      return size
    }
  }
}
