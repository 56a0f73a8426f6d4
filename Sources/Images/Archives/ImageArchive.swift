import Formats
import Support

/// Archive of images that is read in place: zip, or tar, also compressed by gzip, bzip2, xz or zstd.
///
/// Nothing is unpacked to the disk: names of members are only labels. Members of zip archives and of plain tar archives are read
/// when they are needed, in any order and by several threads at a time. Of a compressed tar archive, which can be read from front
/// to back only, the encoded images are kept in memory; if they take more than half of what is left, the archive is refused.
/// Hidden files and `__MACOSX`, which macOS adds, are left out.
public final class ImageArchive: Sendable, Hashable {
  /// Path of the archive.
  public let path: String
  /// Time when the archive was last changed, in nanoseconds since 1970.
  let time: Int
  private let members: any ArchiveMembers
  /// Names in each folder, sorted; the key is the folder's name, and empty for the top.
  private let folders: [Name: [String]]
  /// Index of each file by its name.
  private let files: [Name: Int]

  /// Kinds of files that may be archives.
  private static let kinds = compressedKinds.union([.zip, .tar])
  /// Kinds of files that may be tar archives, compressed as a whole.
  private static let compressedKinds: Set<FileKind> = [.gzip, .bzip2, .xz, .zstandard]

  /// Whether a file is an archive, or compressed as one may be. Its first bytes tell; a tar archive of the oldest form is known
  /// by its name only.
  package static func isArchive(_ path: String) -> Bool {
    // A file that cannot be read is reported when it is needed.
    guard InputFile.exists(path), !InputFile.isFolder(path), let file = try? InputFile(path) else { return false }
    guard let kind = try? FileKind(of: file) else { return path.lowercased().hasSuffix(".tar") }
    return kinds.contains(kind)
  }

  /// Whether a file is compressed as a whole, so that its first bytes do not tell what it holds.
  static func isCompressed(_ path: String) -> Bool {
    (try? FileKind(of: InputFile(path))).map(compressedKinds.contains) ?? false
  }

  /// Reads the directory of an archive.
  /// - Throws: a ``Failure`` if it is damaged, encrypted or too large, or if two members have the same name.
  public init(_ path: String) throws {
    self.path = path
    time = InputFile.stamp(path)?.time ?? 0
    let file = try InputFile(path)
    members = try FileKind(of: file) == .zip ? ZipMembers(file) : TarMembers(file)
    var (folders, files): ([Name: Set<Name>], [Name: Int]) = ([Name(""): []], [:])
    for (index, entry) in members.entries.enumerated() {
      guard let parts = try Self.parts(entry.name, path) else { continue }
      let name = parts.joined(separator: "/")
      guard files.updateValue(index, forKey: Name(name)) == nil else {
        throw Failure(.damagedFile, about: path, "two members are called '\(shortened(name))'", remedy: "pack it again")
      }
      for depth in parts.indices {
        folders[Name(parts[..<depth].joined(separator: "/")), default: []].insert(Name(parts[depth]))
      }
    }
    if let both = files.keys.first(where: { folders[$0] != nil }) {
      throw Failure(.damagedFile, about: path, "'\(shortened(both.text))' is a file and a folder", remedy: "pack it again")
    }
    self.folders = folders.mapValues { $0.sorted().map(\.text) }
    self.files = files
  }

  /// Returns the parts of a member's name; nil for a hidden member.
  /// - Throws: a ``Failure`` for a name that leads out of the archive.
  private static func parts(_ name: String, _ path: String) throws -> [String]? {
    let parts = name.split(separator: "/").map(String.init).filter { $0 != "." }
    guard !parts.contains("..") else {
      throw Failure(
        .damagedFile, about: path, "the member '\(shortened(name))' leads out of the archive", remedy: "pack it again")
    }
    return parts.isEmpty || parts.contains { $0.utf8.first == UInt8(ascii: ".") || $0 == "__MACOSX" } ? nil : parts
  }

  /// Name of the folder in which the images are: the only folder at the top that all images are in, if it holds folders and is
  /// not called like a part of a data set; otherwise empty.
  var root: String {
    let top = names(in: "") ?? []
    let seen = top.filter { names(in: $0) != nil || ImageTree.isCalledImage($0) }
    guard seen.count == 1, let inner = names(in: seen[0]), ImageFolderPart(calledLike: seen[0]) == nil,
      inner.contains(where: { names(in: "\(seen[0])/\($0)") != nil })
    else { return "" }
    return seen[0]
  }

  /// Returns the names in a folder, sorted; nil if there is no such folder.
  func names(in folder: String) -> [String]? { folders[Name(folder)] }

  /// Returns the index of a file; nil if there is no such file.
  func index(of file: String) -> Int? { files[Name(file)] }

  /// Returns the size of a member in bytes.
  func byteCount(_ index: Int) -> Int { members.entries[index].byteCount }

  /// Returns the contents of a member.
  /// - Parameter limit: maximum number of bytes.
  /// - Throws: a ``Failure`` if it is larger or damaged.
  func read(_ index: Int, atMost limit: Int) throws -> [UInt8] {
    let (name, byteCount) = members.entries[index]
    guard byteCount <= limit else {
      throw Failure(.unsupported, about: "\(path)/\(name)", "\(byteCount) bytes, over the bound of \(limit)")
    }
    return try members.read(index)
  }

  public static func == (a: ImageArchive, b: ImageArchive) -> Bool { a === b }

  public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
