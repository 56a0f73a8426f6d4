import Glibc
import Support

/// Folders and files in which images are looked for: those of the disk, or the members of an archive.
///
/// The path of a member begins with the path of its archive: `photos.zip/rose/1.jpg`.
package struct ImageTree: Sendable {
  /// Path that was opened, without a slash at its end.
  private let path: String
  /// Path of the folder in which the images are. Of an archive, it is the archive's own path, or that of the only folder in it.
  package let root: String
  /// The archive; nil for the disk.
  private let archive: ImageArchive?
  /// Called after each class that is listed; nil for nothing.
  let progress: ReadingProgress?

  /// Opens a folder, an archive, or a folder in an archive.
  /// - Throws: a ``Failure`` if the path is that of an archive that cannot be read. A missing folder is reported when it is read.
  package init(_ path: String, progress: ReadingProgress? = nil) throws {
    self.progress = progress
    var path = path
    while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
    self.path = path
    guard let file = Self.existing(path), ImageArchive.isArchive(file) else {
      (root, archive) = (path, nil)
      return
    }
    let archive = try ImageArchive(file)
    self.archive = archive
    root = file.utf8.count < path.utf8.count ? path : archive.root.isEmpty ? file : "\(file)/\(archive.root)"
  }

  /// Returns the path itself, or the file that a path into an archive begins with; nil if nothing is there.
  private static func existing(_ path: String) -> String? {
    if InputFile.exists(path) { return path }
    var rest = path[...]
    while let slash = rest.utf8.lastIndex(of: UInt8(ascii: "/")), slash > rest.startIndex {
      rest = rest[..<slash]
      if InputFile.exists(String(rest)) { return InputFile.isFolder(String(rest)) ? nil : String(rest) }
    }
    return nil
  }

  /// Whether a folder, a file, an archive, or something in an archive is at the path that was opened.
  var exists: Bool { isFolder(path) || file != nil }

  /// Place of the file at the path that was opened; nil if there is none, or if it is an archive.
  var file: ImagePlace? { place(ofFile: path) }

  /// Whether a folder, a file, an archive, or something in an archive is at this path.
  /// - Throws: a ``Failure`` if the path leads into an archive that cannot be read.
  package static func exists(_ path: String) throws -> Bool { try InputFile.exists(path) || ImageTree(path).exists }

  /// Whether photographs are at a path: an archive, or a folder with images in its folders. The name tells it of an archive that
  /// is missing, and of a compressed file.
  package static func isPhotographic(_ path: String) -> Bool {
    if InputFile.isFolder(path) {
      // Folders that cannot be read are no reason to stop here.
      guard let tree = try? ImageTree(path), let folders = try? tree.folders(tree.root) else { return false }
      return folders.contains { (try? tree.holdsImages("\(tree.root)/\($0)")) == true }
    }
    let ends = ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tbz2", "tar.xz", "txz", "tar.zst"]
    let isCalledArchive = ends.contains { path.lowercased().hasSuffix(".\($0)") }
    guard let file = existing(path) else { return isCalledArchive }
    return ImageArchive.isArchive(file) && (file != path || isCalledArchive || !ImageArchive.isCompressed(file))
  }

  /// File name extensions of images, in upper or lower case.
  static let extensions = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"]

  static func isCalledImage(_ path: String) -> Bool {
    guard let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
    return extensions.contains(path[path.index(after: dot)...].lowercased())
  }

  /// Sorts names by their bytes, which is also the order of their code points.
  static func sorted(_ names: [String]) -> [String] { names.sorted { Name($0) < Name($1) } }

  /// Whether a name begins with a dot, whatever follows it.
  static func isHidden(_ name: String) -> Bool { name.utf8.first == UInt8(ascii: ".") }

  // MARK: Places

  /// Returns the place of a file that was found.
  func place(_ path: String) -> ImagePlace {
    archive == nil ? ImagePlace(file: path) : place(ofFile: path) ?? ImagePlace(file: path)
  }

  /// Returns the place of a file; nil if there is none.
  package func place(ofFile path: String) -> ImagePlace? {
    guard let archive else { return InputFile.exists(path) && !InputFile.isFolder(path) ? ImagePlace(file: path) : nil }
    return name(path, in: archive).flatMap { archive.index(of: $0) }.map { ImagePlace(archive, $0, path: path) }
  }

  /// Returns the name of a member by its path; nil for a path that does not lead into the archive.
  private func name(_ path: String, in archive: ImageArchive) -> String? {
    if path == archive.path { return "" }
    guard path.utf8.starts(with: "\(archive.path)/".utf8) else { return nil }
    return String(decoding: path.utf8.dropFirst(archive.path.utf8.count + 1), as: UTF8.self)
  }

  // MARK: Folders

  private func isFolder(_ path: String) -> Bool {
    guard let archive else { return InputFile.isFolder(path) }
    return name(path, in: archive).flatMap { archive.names(in: $0) } != nil
  }

  private func entries(_ path: String) throws -> [String] {
    guard let archive else { return try Folder.entries(path) }
    return name(path, in: archive).flatMap { archive.names(in: $0) } ?? []
  }

  /// Returns the names of the visible folders in a folder, sorted.
  /// - Throws: a ``Failure`` for a folder that is missing, cannot be read, or is a file.
  func folders(_ path: String) throws -> [String] {
    guard archive != nil || InputFile.exists(path) else { throw Failure(.notFound, about: path, "there is no such folder") }
    guard isFolder(path) else {
      throw archive == nil
        ? Failure(.invalidSetting, about: path, "a file, not a folder with a folder of images for each class")
        : Failure(.notFound, about: path, "there is no such folder in the archive")
    }
    return Self.sorted(try entries(path).filter { try !Self.isHidden($0) && status("\(path)/\($0)").isFolder })
  }

  /// Returns the first visible symbolic link in a folder that leads nowhere; nil if there is none.
  func brokenLink(in path: String) throws -> String? {
    if archive != nil { return nil }
    return Self.sorted(try entries(path)).first { !Self.isHidden($0) && Self.leadsNowhere("\(path)/\($0)") }
  }

  /// Whether a folder, or any folder below it, contains an image.
  func holdsImages(_ path: String) throws -> Bool {
    var (folders, seen) = ([path], Set<Identity>())
    while let folder = folders.popLast() {
      guard seen.insert(try status(folder).identity).inserted else { continue }
      let names = try entries(folder).filter { !Self.isHidden($0) && InputFile.isText($0) }
      if names.contains(where: Self.isCalledImage) { return true }
      folders += try names.map { "\(folder)/\($0)" }.filter { try status($0).isFolder }
    }
    return false
  }

  /// Lists the visible files in a folder and below it, folder by folder. A folder that several links lead to counts once.
  func walk(_ path: String, _ files: inout [String]) throws {
    var folders: [(path: String, files: [String])] = []
    var seen: Set<Identity> = []
    try collect(path, within: [], &seen, &folders)
    folders.sort { Name($0.path) < Name($1.path) }
    files += folders.flatMap { folder in Self.sorted(folder.files).map { "\(folder.path)/\($0)" } }
  }

  private func collect(
    _ path: String, within above: Set<Identity>, _ seen: inout Set<Identity>, _ folders: inout [(path: String, files: [String])]
  ) throws {
    let identity = try status(path).identity
    guard !above.contains(identity) else {
      throw Failure(.unsupported, about: path, "a symbolic link to a folder that it is in")
    }
    guard seen.insert(identity).inserted else { return }
    var files: [String] = []
    // The names are sorted, so that it is always the same one of several links that counts.
    for name in Self.sorted(try entries(path)) where !Self.isHidden(name) {
      // A name that is not text cannot be looked up. It is listed as a file, and the error is reported when the file is
      // needed.
      if InputFile.isText(name), try status("\(path)/\(name)").isFolder {
        try collect("\(path)/\(name)", within: above.union([identity]), &seen, &folders)
      } else {
        files.append(name)
      }
    }
    folders.append((path, files))
  }

  /// Identity that distinguishes a folder from every other.
  private enum Identity: Hashable {
    case disk(device: UInt, file: UInt)
    case member(Name)
  }

  /// Whether a path is that of a symbolic link to what is not there.
  private static func leadsNowhere(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK && access(path, F_OK) != 0 && errno == ENOENT
  }

  private func status(_ path: String) throws -> (isFolder: Bool, identity: Identity) {
    if archive != nil { return (isFolder(path), .member(Name(path))) }
    var status = stat()
    // A link that leads nowhere counts as a file that cannot be read. It is reported when it is needed.
    guard stat(path, &status) == 0 || lstat(path, &status) == 0 else {
      let code = errno
      guard InputFile.isText(path) else {
        throw Failure(.unsupported, "cannot read \(path): its name is not in UTF-8, rename it")
      }
      throw Failure(code == ENOENT ? .notFound : .inputOutput, "cannot read \(path): \(String(cString: strerror(code)))")
    }
    return (status.st_mode & S_IFMT == S_IFDIR, .disk(device: UInt(status.st_dev), file: UInt(status.st_ino)))
  }
}
