import Glibc
import Support

/// Folder of images with one folder for each class: `PATH/CLASS/…/NAME.jpg`.
///
/// Classes are numbered in the byte order of their names. Images come class by class, sorted by folder and then by name in
/// the same order, as in torchvision's `ImageFolder`. Folders within a class's folder belong to the class. Symbolic links are
/// followed. Unlike in torchvision, hidden files and folders, whose names begin with a dot, are left out.
public struct ImageFolder: Sendable, Hashable {
  /// Image that was found.
  public struct Sample: Sendable, Hashable {
    /// Path of the file, beginning with the folder's path.
    public let path: String
    /// Number of the class.
    public let label: Int32
  }

  /// Path of the folder that contains the classes' folders.
  public let path: String
  /// Names of the classes in the order of their labels.
  public let classes: [String]
  /// Images, sorted by class, then by folder, then by name.
  public let samples: [Sample]
  /// Files in the classes' folders that are not named like images of a known format.
  public let ignored: [String]

  /// File name extensions of images, in upper or lower case. The first bytes of a file determine which of these formats it
  /// has.
  public static let extensions = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"]

  init(path: String, classes: [String], samples: [Sample], ignored: [String]) {
    self.path = path
    self.classes = classes
    self.samples = samples
    self.ignored = ignored
  }

  /// Lists the images, without opening them.
  /// - Throws: a ``Failure`` that names a folder that is missing, cannot be read, has no classes, or belongs to a class
  ///   without images.
  public init(_ path: String) throws {
    let classes = try Self.folders(path)
    let names = Self.sorted(try Folder.entries(path))
    if let lost = names.first(where: { !Self.isHidden($0) && Self.leadsNowhere("\(path)/\($0)") }) {
      throw Failure(
        .notFound, about: "\(path)/\(lost)", "a symbolic link that leads nowhere, perhaps a class",
        remedy: "mend it or remove it")
    }
    guard !classes.isEmpty else {
      throw Failure(.notFound, about: path, "no folders in it, of which each class needs one")
    }
    var (samples, ignored) = ([Sample](), [String]())
    for (label, name) in classes.enumerated() {
      var files: [String] = []
      try Self.walk("\(path)/\(name)", &files)
      let images = files.filter(Self.isCalledImage)
      guard !images.isEmpty else {
        throw Failure(
          .notFound, about: "\(path)/\(name)", "no images in it, of which every class needs one",
          remedy: "fill it or remove it (looked for .\(Self.extensions.joined(separator: ", .")))")
      }
      samples += images.map { Sample(path: $0, label: Int32(label)) }
      ignored += files.filter { !Self.isCalledImage($0) }
    }
    self.init(path: path, classes: classes, samples: samples, ignored: ignored)
  }

  /// Numbers the classes as another folder does. The other folder may have them in another order, because names are sorted by
  /// bytes and the two may have been written by systems with different Unicode forms.
  /// - Throws: a ``Failure`` that names a class that only one of the folders has.
  func labeled(like known: ImageFolder) throws -> ImageFolder {
    let numbers = places(of: classes, in: known.classes)
    let twins = lookalikes(among: classes + known.classes)
    func named(_ name: String) -> String { twins.contains(spelled(name)) ? spelled(name) : name }
    let found = Set(numbers.compactMap { $0 })
    if let missing = known.classes.indices.first(where: { !found.contains($0) }) {
      throw Failure(
        .mismatch, about: path,
        "no folder for the class '\(named(known.classes[missing]))' of \(known.path); both need the same classes")
    }
    let samples = try samples.map { sample in
      let name = classes[Int(sample.label)]
      guard let number = numbers[Int(sample.label)] else {
        throw Failure(
          .mismatch, about: path, "the class '\(named(name))' is not in \(known.path); both need the same classes")
      }
      return Sample(path: sample.path, label: Int32(number))
    }
    // The sort is stable: equal labels keep their order.
    let sorted = samples.enumerated().sorted { ($0.element.label, $0.offset) < ($1.element.label, $1.offset) }.map(\.element)
    return ImageFolder(path: path, classes: known.classes, samples: sorted, ignored: ignored)
  }

  /// Whether a folder, or any folder below it, contains an image.
  static func holdsImages(_ path: String) throws -> Bool {
    var (folders, seen) = ([path], Set<Identity>())
    while let folder = folders.popLast() {
      guard seen.insert(try status(folder).identity).inserted else { continue }
      let names = try Folder.entries(folder).filter { !isHidden($0) && InputFile.isText($0) }
      if names.contains(where: isCalledImage) { return true }
      folders += try names.map { "\(folder)/\($0)" }.filter { try status($0).isFolder }
    }
    return false
  }

  /// Returns the names of the visible folders in a folder, sorted.
  static func folders(_ path: String) throws -> [String] {
    guard InputFile.exists(path) else { throw Failure(.notFound, about: path, "there is no such folder") }
    guard InputFile.isFolder(path) else {
      throw Failure(.invalidSetting, about: path, "a file, not a folder with a folder of images for each class")
    }
    return sorted(try Folder.entries(path).filter { try !isHidden($0) && status("\(path)/\($0)").isFolder })
  }

  /// Whether a name begins with a dot, whatever follows it.
  private static func isHidden(_ name: String) -> Bool { name.utf8.first == UInt8(ascii: ".") }

  static func isCalledImage(_ path: String) -> Bool {
    guard let dot = path.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
    return extensions.contains(path[path.index(after: dot)...].lowercased())
  }

  /// Sorts names by their bytes, which is also the order of their code points.
  private static func sorted(_ names: [String]) -> [String] {
    names.sorted { Name($0) < Name($1) }
  }

  /// Lists the visible files in a folder and below it, folder by folder. A folder that several links lead to counts once.
  static func walk(_ path: String, _ files: inout [String]) throws {
    var folders: [(path: String, files: [String])] = []
    var seen: Set<Identity> = []
    try collect(path, within: [], &seen, &folders)
    folders.sort { Name($0.path) < Name($1.path) }
    files += folders.flatMap { folder in sorted(folder.files).map { "\(folder.path)/\($0)" } }
  }

  private static func collect(
    _ path: String, within above: Set<Identity>, _ seen: inout Set<Identity>, _ folders: inout [(path: String, files: [String])]
  ) throws {
    let identity = try status(path).identity
    guard !above.contains(identity) else {
      throw Failure(.unsupported, about: path, "a symbolic link to a folder that it is in")
    }
    guard seen.insert(identity).inserted else { return }
    var files: [String] = []
    // The names are sorted, so that it is always the same one of several links that counts.
    for name in sorted(try Folder.entries(path)) where !isHidden(name) {
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
  struct Identity: Hashable {
    let device, file: UInt
  }

  /// Whether a path is that of a symbolic link to what is not there.
  private static func leadsNowhere(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK && access(path, F_OK) != 0 && errno == ENOENT
  }

  private static func status(_ path: String) throws -> (isFolder: Bool, identity: Identity) {
    var status = stat()
    // A link that leads nowhere counts as a file that cannot be read. It is reported when it is needed.
    guard stat(path, &status) == 0 || lstat(path, &status) == 0 else {
      let code = errno
      guard InputFile.isText(path) else {
        throw Failure(.unsupported, "cannot read \(path): its name is not in UTF-8, rename it")
      }
      throw Failure(code == ENOENT ? .notFound : .inputOutput, "cannot read \(path): \(String(cString: strerror(code)))")
    }
    return (status.st_mode & S_IFMT == S_IFDIR, Identity(device: UInt(status.st_dev), file: UInt(status.st_ino)))
  }
}
