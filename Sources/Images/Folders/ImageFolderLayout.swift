import Support

/// Part of a data set that a folder may hold.
public enum ImageFolderPart: String, CaseIterable, Hashable, Sendable {
  case train
  case validation = "val"
  case test

  /// Word for the part in messages.
  package var adjective: String {
    switch self {
    case .train: "training"
    case .validation: "validation"
    case .test: "test"
    }
  }

  /// Usual names of such a folder, in upper or lower case. If several are present, the first one counts.
  var names: [String] {
    switch self {
    case .train: ["train", "training"]
    case .validation: ["val", "valid", "validation", "dev"]
    case .test: ["test", "testing"]
    }
  }

  init?(calledLike folder: String) {
    guard let part = Self.allCases.first(where: { $0.names.contains(folder.lowercased()) }) else { return nil }
    self = part
  }

  /// Returns the index of a name in ``names``; their number if it is none of them.
  func rank(_ folder: String) -> Int { names.firstIndex(of: folder.lowercased()) ?? names.count }
}

/// Layout of a folder of images. It contains either folders for the parts of a data set, with the classes' folders in them,
/// or the classes' folders themselves.
struct ImageFolderLayout {
  let path: String
  private let tree: ImageTree
  /// Name of each part's folder; empty if the classes' folders are in the folder itself.
  private(set) var parts: [ImageFolderPart: String] = [:]
  /// Other folders with images, each with the reason why it is not a part, or with an empty reason.
  private var others: [(name: String, reason: String)] = []

  /// Reads the names in a folder, and in those of its folders that are named like parts.
  /// - Throws: a ``Failure`` that names a folder that is missing or cannot be read, or that mixes parts and classes.
  init(_ path: String, progress: ReadingProgress? = nil) throws {
    let tree = try ImageTree(path, progress: progress)
    try self.init(tree.root, in: tree)
  }

  private init(_ path: String, in tree: ImageTree) throws {
    (self.path, self.tree) = (path, tree)
    let names = try tree.folders(path)
    let called = names.filter { ImageFolderPart(calledLike: $0) != nil }
    let trees = try called.filter { try !tree.folders("\(path)/\($0)").isEmpty }
    let classes = names.filter { !called.contains($0) }
    if trees.isEmpty {
      try checkClasses(classes, calledLikeParts: called)
      return
    }
    var pictures: [String] = []
    for name in classes {
      do {
        if try tree.holdsImages("\(path)/\(name)") { pictures.append(name) }
      } catch let failure as Failure {
        // A disk has folders of its own, which may be unreadable.
        others.append((name, " (\(failure))"))
      }
    }
    if trees.count == 1, let first = pictures.first {
      throw Failure(
        .mismatch, about: path, "\(trees[0]) is called like a part of a data set, and \(first) beside it holds images too",
        remedy: "rename \(trees[0]) if it is a class like \(first), or else move \(first) away or name \(path)/\(trees[0])")
    }
    others += pictures.map { ($0, "") }
    for part in ImageFolderPart.allCases { try choose(part, among: trees, called) }
  }

  /// Chooses the folder of a part.
  private mutating func choose(_ part: ImageFolderPart, among trees: [String], _ called: [String]) throws {
    let own = called.filter { ImageFolderPart(calledLike: $0) == part }
      .sorted { (part.rank($0), Name($0)) < (part.rank($1), Name($1)) }
    let (full, flat) = (own.filter(trees.contains), own.filter { !trees.contains($0) })
    if part == .train, full.count > 1 {
      throw Failure(
        .mismatch, about: path, "both \(full[0]) and \(full[1]) are called like the images to train on",
        remedy: "rename or move one")
    }
    guard let name = full.first else {
      // Images to predict come in one folder, without classes. Images to measure on must have classes, so this throws if
      // there are none.
      if part == .validation, let name = flat.first { _ = try folder(name) }
      others += flat.map { ($0, " (no folders of classes in it)") }
      return
    }
    guard try ImageFolderLayout("\(path)/\(name)", in: tree).parts.isEmpty else {
      throw Failure(
        .mismatch, about: "\(path)/\(name)", "holds folders that are called like parts of a data set",
        remedy: "name the folder of one data set")
    }
    parts[part] = name
    others += (full.dropFirst() + flat).map { ($0, "") }
  }

  /// Refuses folders that are named like parts, hold images but no folders, and could be either parts or classes.
  /// - Throws: a ``Failure`` for such a folder.
  private func checkClasses(_ classes: [String], calledLikeParts called: [String]) throws {
    // A class may be named train, which is also a vehicle.
    guard let part = called.first(where: { $0.lowercased() != "train" || classes.isEmpty }) else { return }
    guard let first = classes.first else {
      throw Failure(.notFound, about: "\(path)/\(part)", "no folders in it, of which each class needs one")
    }
    throw Failure(
      .mismatch, about: path,
      "\(part) is called like a part of a data set and stands among the classes' folders, such as \(first)",
      remedy: "move it away, or rename it if it is a class")
  }

  /// Lists the images of a part's folder by its name, or of the folder itself.
  func folder(_ name: String? = nil) throws -> ImageFolder { try ImageFolder(name.map { "\(path)/\($0)" } ?? path, in: tree) }

  /// Returns the names of all folders except some parts, for a message: `; not used: test`, or an empty text.
  func rest(besides used: [ImageFolderPart]) -> String {
    let unused = parts.filter { !used.contains($0.key) }.map { (name: $0.value, reason: "") } + others
    if unused.isEmpty { return "" }
    return "; not used: " + unused.map { printable($0.name) + $0.reason }.sorted().joined(separator: ", ")
  }
}
