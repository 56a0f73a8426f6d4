import Support

/// Access to the storages in a file of `torch.save` by their keys.
protocol PyTorchStorages: AnyObject {
  var path: String { get }
  var fileByteCount: Int { get }

  /// Returns the size of a storage in the file, in bytes.
  /// - Throws: a ``Failure``, without the file's name, if there is no such storage.
  func byteCount(of key: String) throws -> Int

  /// Returns the bytes of a storage.
  /// - Throws: a ``Failure`` if there is no such storage or it is damaged.
  func read(_ key: String) throws -> [UInt8]
}

/// Storages as records of a zip archive, `data/0`, `data/1` … in a folder: the format since PyTorch 1.6.
final class PyTorchArchiveStorages: PyTorchStorages {
  private let archive: ZipArchive
  private let folder: String

  init(_ archive: consuming ZipArchive, folder: String) {
    self.archive = archive
    self.folder = folder
  }

  var path: String { archive.file.path }
  var fileByteCount: Int { archive.file.byteCount }

  private func record(_ key: String) -> String { "\(folder)data/\(key)" }

  func byteCount(of key: String) throws -> Int {
    guard let count = archive.byteCount(of: record(key)) else {
      throw Failure(.damagedFile, "the zip record '\(shortened(record(key)))' is missing")
    }
    return count
  }

  func read(_ key: String) throws -> [UInt8] { try archive.read(record(key)) }
}

/// Storages one after another in the file, after the pickles: the format before PyTorch 1.6.
final class PyTorchStreamStorages: PyTorchStorages {
  private let file: InputFile
  private let places: [Name: Range<Int>]

  init(_ file: consuming InputFile, _ places: [Name: Range<Int>]) {
    self.file = file
    self.places = places
  }

  var path: String { file.path }
  var fileByteCount: Int { file.byteCount }

  private func place(_ key: String) throws -> Range<Int> {
    guard let place = places[Name(key)] else { throw Failure(.damagedFile, "its storage '\(shortened(key))' is missing") }
    return place
  }

  func byteCount(of key: String) throws -> Int { try place(key).count }

  func read(_ key: String) throws -> [UInt8] {
    let place = try place(key)
    return try file.read(place.count, at: place.lowerBound)
  }
}
