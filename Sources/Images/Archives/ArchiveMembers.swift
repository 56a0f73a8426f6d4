import CArchive
import Formats
import Glibc
import Support

/// Files in an archive, readable in any order and by several threads at a time.
protocol ArchiveMembers: Sendable {
  /// Names, with slashes, and sizes in bytes.
  var entries: [(name: String, byteCount: Int)] { get }
  /// Returns the contents of a file.
  /// - Throws: a ``Failure`` if it is damaged.
  func read(_ index: Int) throws -> [UInt8]
}

/// Members of a zip archive. Each is found by the archive's directory and inflated when it is needed.
final class ZipMembers: ArchiveMembers {
  let entries: [(name: String, byteCount: Int)]
  private let archive: ZipArchive
  /// Record of each entry.
  private let records: [Int]

  /// - Throws: a ``Failure`` if the archive is damaged, or its images are encrypted or compressed in a way that is not supported.
  init(_ file: consuming InputFile) throws {
    let path = file.path
    let archive = try ZipArchive(file)
    var entries: [(name: String, byteCount: Int)] = []
    var records: [Int] = []
    for (index, record) in archive.records.enumerated() {
      // Programs of old Windows separate folders by backslashes.
      let name = record.name.contains("/") ? record.name : record.name.replacing("\\", with: "/")
      if record.isLink || name.utf8.last == UInt8(ascii: "/") { continue }
      if ImageTree.isCalledImage(name) {
        guard !record.isEncrypted else {
          throw Failure(
            .unsupported, about: path, "'\(shortened(name))' is encrypted",
            remedy: "unpack it with its password, and name the folder")
        }
        guard record.isSupported else {
          throw Failure(
            .unsupported, about: path, "'\(shortened(name))' is compressed in a way that is not supported, only deflate is",
            remedy: "unpack it, and name the folder")
        }
      }
      entries.append((name, record.byteCount))
      records.append(index)
    }
    (self.entries, self.records) = (entries, records)
    self.archive = archive
  }

  func read(_ index: Int) throws -> [UInt8] { try archive.read(records[index]) }
}

/// Members of a tar archive.
///
/// libarchive reads archives from front to back only. So it makes an index first. Members of an archive that is not compressed
/// are then read where they lie in the file. Of a compressed archive, the images stay in memory as they are encoded.
final class TarMembers: ArchiveMembers {
  private enum Place {
    case offset(Int)
    case bytes([UInt8])
    /// Not kept, as it is no image or too large for one.
    case nowhere
  }

  let entries: [(name: String, byteCount: Int)]
  private let places: [Place]
  private let file: InputFile

  /// Maximum number of members. A compressed archive may announce any number in a few bytes.
  private static let mostMembers = 1 << 23

  /// - Throws: a ``Failure`` if it is no tar archive, is damaged, or does not fit into memory.
  init(_ file: consuming InputFile) throws {
    var reading = try Reading(path: file.path)
    try file.withDescriptor { descriptor in try reading.readAll(from: descriptor) }
    (entries, places) = (reading.entries, reading.places)
    self.file = file
  }

  func read(_ index: Int) throws -> [UInt8] {
    let (name, byteCount) = entries[index]
    switch places[index] {
    case .offset(let offset):
      guard byteCount <= file.byteCount - offset else {
        throw Failure(.damagedFile, about: file.path, "truncated, '\(shortened(name))' is not whole")
      }
      return try file.read(byteCount, at: offset)
    case .bytes(let bytes): return bytes
    case .nowhere:
      throw Failure(.unsupported, about: file.path, "'\(shortened(name))' has \(byteCount) bytes, too many for an image")
    }
  }

  /// The pass over an archive that finds its members.
  private struct Reading: ~Copyable {
    let path: String
    private(set) var entries: [(name: String, byteCount: Int)] = []
    private(set) var places: [Place] = []
    private let archive: OpaquePointer
    /// Entry of each name, for hard links.
    private var indices: [Name: Int] = [:]
    /// Bytes that may still be kept in memory.
    private var left = HostMemory.available() / 2

    init(path: String) throws {
      guard let archive = archive_read_new() else {
        throw Failure(.outOfMemory, "cannot read \(path): libarchive does not start")
      }
      (self.path, self.archive) = (path, archive)
      archive_read_support_format_tar(archive)
      archive_read_support_filter_gzip(archive)
      archive_read_support_filter_bzip2(archive)
      archive_read_support_filter_xz(archive)
      archive_read_support_filter_zstd(archive)
    }

    deinit { archive_read_free(archive) }

    mutating func readAll(from descriptor: Int32) throws {
      // libarchive converts names to the encoding of the locale. The program's own locale stays as it is.
      let utf8 = newlocale(1 << LC_CTYPE, "C.UTF-8", nil)
      let former = utf8.map { uselocale($0) }
      defer {
        if let utf8, let former {
          uselocale(former)
          freelocale(utf8)
        }
      }
      guard archive_read_open_fd(archive, descriptor, 1 << 16) == ARCHIVE_OK else { throw failure() }
      var entry: OpaquePointer?
      while true {
        let status = archive_read_next_header(archive, &entry)
        if status == ARCHIVE_EOF { return }
        guard status >= ARCHIVE_WARN, let entry else { throw failure() }
        try add(entry)
      }
    }

    private mutating func add(_ entry: OpaquePointer) throws {
      guard entries.count < TarMembers.mostMembers else {
        throw Failure(.unsupported, about: path, "more than \(TarMembers.mostMembers) members", remedy: "unpack it")
      }
      guard let name = text(archive_entry_pathname(entry)) else {
        throw Failure(.unsupported, about: path, "the name of a member is not in UTF-8", remedy: "unpack it, and name the folder")
      }
      if archive_entry_hardlink(entry) != nil {
        guard let target = text(archive_entry_hardlink(entry)), let index = indices[Name(target)] else {
          throw Failure(.damagedFile, about: path, "'\(shortened(name))' is a link to a member that is not there")
        }
        return record(name, entries[index].byteCount, places[index])
      }
      // Symbolic links, folders and devices hold nothing.
      guard archive_entry_filetype(entry) & 0o170000 == 0o100000 else { return }
      let byteCount = Int(archive_entry_size(entry))
      guard byteCount >= 0, archive_entry_sparse_count(entry) == 0 else {
        throw Failure(
          .unsupported, about: path, "'\(shortened(name))' is a sparse file", remedy: "unpack it, and name the folder")
      }
      if archive_filter_code(archive, 0) == ARCHIVE_FILTER_NONE {
        record(name, byteCount, .offset(Int(archive_filter_bytes(archive, 0))))
      } else if ImageTree.isCalledImage(name), byteCount <= ImageLimits().byteCount {
        record(name, byteCount, .bytes(try contents(byteCount)))
      } else {
        record(name, byteCount, .nowhere)
      }
    }

    private mutating func record(_ name: String, _ byteCount: Int, _ place: Place) {
      indices[Name(name)] = entries.count
      entries.append((name, byteCount))
      places.append(place)
    }

    private mutating func contents(_ byteCount: Int) throws -> [UInt8] {
      left -= byteCount
      guard left >= 0 else {
        throw Failure(
          .outOfMemory, about: path,
          "its images take more than half of the memory that is left, and a compressed tar archive is only read front to back",
          remedy: "unpack it, or pack it as zip or as tar without compression")
      }
      return try [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, filled in
        while filled < byteCount {
          let count = archive_read_data(archive, buffer.baseAddress.map { $0 + filled }, byteCount - filled)
          guard count > 0 else { throw failure() }
          filled += count
        }
      }
    }

    private func text(_ name: UnsafePointer<CChar>?) -> String? { name.flatMap { String(validatingCString: $0) } }

    private func failure() -> Failure {
      let reason = archive_error_string(archive).map { String(cString: $0) } ?? "it ends early"
      return Failure(.damagedFile, about: path, "no tar archive, or a damaged one: \(printable(reason))")
    }
  }
}
