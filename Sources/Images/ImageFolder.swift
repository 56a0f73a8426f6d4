import Compute
import Formats
import Glibc

/// A folder of images with a folder for each class: `PATH/CLASS/…/NAME.jpg`.
///
/// Classes are numbered in the order of their names' bytes; images come class by class, folders and then names in that order, as in
/// torchvision's `ImageFolder`. Folders within a class's belong to it; symbolic links are followed. Unlike there, hidden files and
/// folders, those that begin with a dot, are left out.
public struct ImageFolder: Sendable, Hashable {
  /// An image that was found.
  public struct Sample: Sendable, Hashable {
    /// Its file, beginning with the folder's path.
    public let path: String
    /// The class's number.
    public let label: Int32
  }

  /// Where the classes' folders are.
  public let path: String
  /// The classes' names in the order of their labels.
  public let classes: [String]
  /// The images in the order of their classes, of their folders and of their names.
  public let samples: [Sample]
  /// Files in the classes' folders that are not called as images of a known format are.
  public let ignored: [String]

  /// What images are called, in any case; which of these formats a file has its first bytes say.
  public static let extensions = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"]

  init(path: String, classes: [String], samples: [Sample], ignored: [String]) {
    self.path = path
    self.classes = classes
    self.samples = samples
    self.ignored = ignored
  }

  /// Lists the images, without opening them.
  /// - Throws: a ``Failure`` that names the folder that is missing, cannot be read, has no classes, or is of a class without images.
  public init(_ path: String) throws {
    let classes = try Self.folders(path)
    guard !classes.isEmpty else { throw Failure("\(path): no folders in it, of which each class needs one") }
    var (samples, ignored) = ([Sample](), [String]())
    for (label, name) in classes.enumerated() {
      var files: [String] = []
      try Self.walk("\(path)/\(name)", &files)
      let images = files.filter(Self.isCalledImage)
      guard !images.isEmpty else {
        throw Failure(
          "\(path)/\(name): no images in it, of which every class needs one: fill it or remove it"
            + " (looked for .\(Self.extensions.joined(separator: ", .")))")
      }
      samples += images.map { Sample(path: $0, label: Int32(label)) }
      ignored += files.filter { !Self.isCalledImage($0) }
    }
    self.init(path: path, classes: classes, samples: samples, ignored: ignored)
  }

  /// The visible folders in one, by name.
  static func folders(_ path: String) throws -> [String] {
    guard InputFile.exists(path) else { throw Failure("\(path): there is no such folder") }
    guard InputFile.isFolder(path) else { throw Failure("\(path): a file, not a folder with a folder of images for each class") }
    return sorted(try Folder.entries(path).filter { try !$0.hasPrefix(".") && status("\(path)/\($0)").isFolder })
  }

  static func isCalledImage(_ path: String) -> Bool {
    guard let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
    return extensions.contains(path[path.index(after: dot)...].lowercased())
  }

  /// By bytes, which is by code points as well.
  private static func sorted(_ names: [String]) -> [String] {
    names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The visible files in a folder and those below, folder by folder. One to which several links lead counts once.
  static func walk(_ path: String, _ files: inout [String]) throws {
    var folders: [(path: String, files: [String])] = []
    var seen: Set<Identity> = []
    try collect(path, within: [], &seen, &folders)
    folders.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    files += folders.flatMap { folder in sorted(folder.files).map { "\(folder.path)/\($0)" } }
  }

  private static func collect(
    _ path: String, within above: Set<Identity>, _ seen: inout Set<Identity>, _ folders: inout [(path: String, files: [String])]
  ) throws {
    let identity = try status(path).identity
    guard !above.contains(identity) else { throw Failure("\(path): a symbolic link to a folder that it is in") }
    guard seen.insert(identity).inserted else { return }
    var files: [String] = []
    // In the order of the names, so that it is always the same of several links that counts.
    for name in sorted(try Folder.entries(path)) where !name.hasPrefix(".") {
      // A name that is no text cannot be looked up: as a file, it is one that cannot be read, which is said when it is wanted.
      if InputFile.isText(name), try status("\(path)/\(name)").isFolder {
        try collect("\(path)/\(name)", within: above.union([identity]), &seen, &folders)
      } else {
        files.append(name)
      }
    }
    folders.append((path, files))
  }

  /// What tells a folder from every other.
  struct Identity: Hashable {
    let device, file: UInt
  }

  private static func status(_ path: String) throws -> (isFolder: Bool, identity: Identity) {
    var status = stat()
    // A link that leads nowhere is a file that cannot be read: it will be named when it is wanted.
    guard stat(path, &status) == 0 || lstat(path, &status) == 0 else {
      let reason = InputFile.isText(path) ? String(cString: strerror(errno)) : "its name is not in UTF-8, rename it"
      throw Failure("cannot read \(path): \(reason)")
    }
    return (status.st_mode & S_IFMT == S_IFDIR, Identity(device: UInt(status.st_dev), file: UInt(status.st_ino)))
  }
}
