import Images
import Support

/// Sorts images into folders by their predicted classes, as links or as copies. No file is ever overwritten.
struct ImageSorter {
  /// Name of the folder for images whose class is not probable enough.
  static let unsure = "unsure"

  private let folder: String
  /// Folder of each class within ``folder``.
  private let folders: [String]
  private let above: Double?
  private let copies: Bool

  /// Makes the folder.
  /// - Parameters:
  ///   - above: least probability of a class for an image to be sorted into its folder; nil for any.
  ///   - copies: whether to copy the images instead of linking to them.
  /// - Throws: ``Failure`` if the folder cannot be made.
  init(into folder: String, classes: [String], above: Double?, copies: Bool) throws {
    (self.folder, self.above, self.copies) = (folder, above, copies)
    folders = Self.folders(for: classes, besides: above == nil ? [] : [Self.unsure])
    try Folder.make(folder)
  }

  /// Whether images may be unsure.
  var hasLimit: Bool { above != nil }

  /// Whether the class of an image is too little probable for its folder.
  func isUnsure(_ probability: Double) -> Bool { above.map { probability < $0 } ?? false }

  /// Sorts one image.
  /// - Throws: ``Failure`` if a folder, a link or a copy cannot be made, or the image cannot be read.
  func add(_ image: ImagePlace, label: Int, probability: Double) throws {
    let place = "\(folder)/\(isUnsure(probability) ? Self.unsure : folders[label])"
    try Folder.make(place)
    let name = FileNames.name(ofImage: image.path)
    if copies {
      let bytes = try image.read()
      try FileNames.withFreeName(name, in: place) { try NewFile.write(bytes, to: $0) }
    } else {
      try FileNames.withFreeName(name, in: place) { try NewFile.link(to: image.path, at: $0) }
    }
  }

  /// Returns a folder name for each class. Each is a valid name of a visible file, and no two are the same.
  /// - Parameter reserved: names that are taken already.
  static func folders(for classes: [String], besides reserved: [String]) -> [String] {
    var taken = Set(reserved.map(Name.init))
    return classes.map { name in
      let name = FileNames.valid(name)
      var (free, number) = (name, 2)
      while !taken.insert(Name(free)).inserted {
        free = "\(name)_\(number)"
        number += 1
      }
      return free
    }
  }
}
