import Foundation
import Support

/// CSV file with the class of each image: a column for the paths, one for the classes, and perhaps one for the parts of the data
/// set.
///
/// A first row of names tells the columns: `path`, `image`, `filename` or `file`; `class` or `label`; `split`. Without it, they
/// are the first, the second and the third. Separators are commas, semicolons or tabs; fields may be quoted (RFC 4180). Paths are
/// relative to the folder or archive of the images, or to the file's own folder.
package struct LabelFile: Sendable {
  private struct Row: Sendable {
    let place: ImagePlace
    /// Path of the image as the table has it, without a leading `./`.
    let name: String
    let label: String
    let part: ImageFolderPart?
  }

  /// Path of the file.
  package let path: String
  /// Parts that rows name; empty if there is no column for them.
  let parts: Set<ImageFolderPart>
  private let rows: [Row]
  private let root: String

  /// Part to measure on: that for validation, or else that for tests; nil if there is neither.
  var measuredPart: ImageFolderPart? { [.validation, .test].first(where: parts.contains) }

  /// Reads a file and finds its images.
  /// - Parameters:
  ///   - data: folder or archive of the images.
  ///   - progress: called after each row; nil for nothing.
  /// - Throws: a ``Failure`` that names the file, the line and what is wrong.
  package init(_ path: String, imagesIn data: String, progress: ReadingProgress? = nil) throws {
    let file = try InputFile(path)
    guard file.byteCount <= 1 << 30 else {
      throw Failure(.unsupported, about: path, "\(rounded(bytes: file.byteCount)) are too many for a table of labels")
    }
    let table = try CSV.rows(of: file)
    guard let first = table.first else { throw Failure(.damagedFile, about: path, "no rows in it") }
    let columns = try Columns(first, path)
    let tree = try ImageTree(data)
    let folders = [tree.root, data, Folder.parent(of: path)]
    var (rows, lines): ([Row], [Name: Int]) = ([], [:])
    for row in table.dropFirst(columns.hasHeader ? 1 : 0) {
      func wrong(_ problem: Message, _ kind: Failure.Kind = .damagedFile) -> Failure {
        Failure(kind, about: "\(path): line \(row.line)", problem)
      }
      guard row.fields.count == first.fields.count else {
        throw wrong("\(row.fields.count) columns, and the first line has \(first.fields.count)")
      }
      let (field, label) = (row.fields[columns.path], row.fields[columns.label])
      let name = field.hasPrefix("./") ? String(field.dropFirst(2)) : field
      guard !name.isEmpty, !label.isEmpty else { throw wrong("no \(name.isEmpty ? "path" : "class")") }
      guard let place = Self.place(of: name, in: tree, folders) else {
        throw wrong("there is no file \(shortened(field)) in \(data) or beside the table", .notFound)
      }
      if let other = lines.updateValue(row.line, forKey: Name(place.path)) {
        throw wrong("\(shortened(field)) is in line \(other) already")
      }
      let part = columns.part.map { row.fields[$0] }
      let known = part.flatMap(ImageFolderPart.init(calledLike:))
      if let part, known == nil {
        let names = ImageFolderPart.allCases.flatMap(\.names).joined(separator: ", ")
        throw wrong(part.isEmpty ? "no split: one of \(names)" : "unknown split '\(shortened(part))': known are \(names)")
      }
      rows.append(Row(place: place, name: name, label: label, part: known))
      progress?(rows.count, table.count - (columns.hasHeader ? 1 : 0), "")
    }
    guard !rows.isEmpty else { throw Failure(.damagedFile, about: path, "no rows in it but the names of the columns") }
    (self.path, self.rows, root, parts) = (path, rows, tree.root, Set(rows.compactMap(\.part)))
  }

  private static func place(of name: String, in tree: ImageTree, _ folders: [String]) -> ImagePlace? {
    if name.first == "/" { return InputFile.exists(name) && !InputFile.isFolder(name) ? ImagePlace(file: name) : nil }
    for folder in folders.dropLast() { if let place = tree.place(ofFile: "\(folder)/\(name)") { return place } }
    let beside = folders.last.map { "\($0)/\(name)" } ?? name
    return InputFile.exists(beside) && !InputFile.isFolder(beside) ? ImagePlace(file: beside) : nil
  }

  /// Returns the images of a part, sorted by class, then by folder, then by name, as those of a folder are.
  /// - Parameters:
  ///   - part: the part; nil for all images.
  ///   - known: classes that the images must have, in the order of their numbers; nil for the images' own, sorted.
  /// - Throws: a ``Failure`` that names a class that is missing.
  func images(_ part: ImageFolderPart?, classes known: [String]? = nil) throws -> ImageFolder {
    let rows = rows.filter { part == nil || $0.part == part }
    let found = Set(rows.map { Name($0.label) })
    if let known {
      let wanted = Set(known.map(Name.init))
      if let other = wanted.symmetricDifference(found).min() {
        let side = wanted.contains(other) ? "train" : part?.names[0] ?? ""
        throw Failure(
          .mismatch, about: path, "the class '\(shortened(other.text))' is in the split \(side) only; both need the same classes")
      }
    }
    let classes = known ?? found.sorted().map(\.text)
    let numbers = Dictionary(uniqueKeysWithValues: classes.enumerated().map { (Name($1), Int32($0)) })
    // Names, unlike paths, are the same for a resumed run, and wherever the images are.
    let samples = rows.map { row in
      (
        folder: Name(Folder.parent(of: row.name)), name: Name(row.name),
        sample: ImageFolder.Sample(place: row.place, name: row.name, label: numbers[Name(row.label)] ?? 0)
      )
    }.sorted { ($0.sample.label, $0.folder, $0.name) < ($1.sample.label, $1.folder, $1.name) }
    return ImageFolder(path: root, classes: classes, samples: samples.map(\.sample), ignored: [])
  }

  /// Columns of a table.
  private struct Columns {
    let path, label: Int
    let part: Int?
    let hasHeader: Bool

    private static let paths = ["path", "image", "filename", "file", "image_path", "file_name", "filepath"]
    private static let labels = ["class", "label", "class_name", "label_name", "category"]
    private static let parts = ["split", "subset", "part"]

    init(_ first: CSV.Row, _ file: String) throws {
      let names = first.fields.map { $0.lowercased().trimmingCharacters(in: .whitespaces) }
      func column(_ known: [String]) -> Int? { known.lazy.compactMap { names.firstIndex(of: $0) }.first }
      if let path = column(Self.paths), let label = column(Self.labels) {
        (self.path, self.label, part, hasHeader) = (path, label, column(Self.parts), true)
        return
      }
      guard (2...3).contains(names.count) else {
        throw Failure(
          .damagedFile, about: "\(file): line \(first.line)",
          "\(names.count) columns and no names of columns: path, class and perhaps split are needed")
      }
      (path, label, part, hasHeader) = (0, 1, names.count == 3 ? 2 : nil, false)
    }
  }
}
