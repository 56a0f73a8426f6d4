import Support

/// Folder of images with one folder for each class: `PATH/CLASS/…/NAME.jpg`.
///
/// Classes are numbered in the byte order of their names. Images come class by class, sorted by folder and then by name in
/// the same order, as in torchvision's `ImageFolder`. Folders within a class's folder belong to the class. Symbolic links are
/// followed. Unlike in torchvision, hidden files and folders, whose names begin with a dot, are left out. The folder may be in an
/// ``ImageArchive``.
public struct ImageFolder: Sendable, Hashable {
  /// Image that was found.
  public struct Sample: Sendable, Hashable {
    /// Place of the encoded image.
    public let place: ImagePlace
    /// Name of the image in the data set, which stays when the data set is moved: its path in the folder, or as a table of labels
    /// spells it.
    public let name: String
    /// Number of the class.
    public let label: Int32

    /// Path of the image.
    public var path: String { place.path }
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
  public static let extensions = ImageTree.extensions

  init(path: String, classes: [String], samples: [Sample], ignored: [String]) {
    self.path = path
    self.classes = classes
    self.samples = samples
    self.ignored = ignored
  }

  /// Lists the images of a folder or an archive, without opening them.
  /// - Throws: a ``Failure`` that names a folder that is missing, cannot be read, has no classes, or belongs to a class
  ///   without images.
  public init(_ path: String) throws {
    let tree = try ImageTree(path)
    try self.init(tree.root, in: tree)
  }

  /// Lists the images of a folder in a tree.
  init(_ path: String, in tree: ImageTree) throws {
    let classes = try tree.folders(path)
    if let broken = try tree.brokenLink(in: path) {
      throw Failure(
        .notFound, about: "\(path)/\(broken)", "a symbolic link that leads nowhere, perhaps a class",
        remedy: "mend it or remove it")
    }
    guard !classes.isEmpty else {
      throw Failure(.notFound, about: path, "no folders in it, of which each class needs one")
    }
    var (samples, ignored) = ([Sample](), [String]())
    for (label, name) in classes.enumerated() {
      var files: [String] = []
      try tree.walk("\(path)/\(name)", &files)
      let images = files.filter(ImageTree.isCalledImage)
      guard !images.isEmpty else {
        throw Failure(
          .notFound, about: "\(path)/\(name)", "no images in it, of which every class needs one",
          remedy: "fill it or remove it (looked for .\(Self.extensions.joined(separator: ", .")))")
      }
      samples += images.map {
        Sample(
          place: tree.place($0), name: String(decoding: $0.utf8.dropFirst(path.utf8.count), as: UTF8.self), label: Int32(label))
      }
      ignored += files.filter { !ImageTree.isCalledImage($0) }
      tree.progress?(label + 1, classes.count, name)
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
      return Sample(place: sample.place, name: sample.name, label: Int32(number))
    }
    // The sort is stable: equal labels keep their order.
    let sorted = samples.enumerated().sorted { ($0.element.label, $0.offset) < ($1.element.label, $1.offset) }.map(\.element)
    return ImageFolder(path: path, classes: known.classes, samples: sorted, ignored: ignored)
  }
}
