import Compute
import Datasets
import Formats
import Foundation
import Images
import Support

/// Prints a value as one line.
func printJSON(_ value: JSON) { print(value) }

extension JSON {
  /// Makes an object from keys and values, in order.
  static func members(_ members: KeyValuePairs<String, JSON>) -> JSON { .object(members.map { Member($0.key, $0.value) }) }
}

/// Writes a line to standard error. File names in it may come from anywhere. If standard error is closed or full, only the exit
/// code can tell.
func printError(_ line: String, _ kind: OutputWriter.Kind = .result) {
  let text = printable(line)
  // A file name may be of any length, so a long line loses its middle.
  let isLong = text.count > 2000
  let cut = isLong ? "\(text.prefix(1000)) … \(text.suffix(900))" : text
  Display.shared.write(cut + "\n", to: .error, kind)
}

/// Reports on standard error, once, which files of a folder of photographs are passed over.
func reportIgnored(_ images: (any ImageSource)...) {
  let files = images.flatMap(\.ignored)
  reportIgnored(files)
}

func reportIgnored(_ files: [String]) {
  let distinct = Set(files.map(Name.init)).sorted().map(\.text)
  guard !distinct.isEmpty else { return }
  let examples = distinct.prefix(3).joined(separator: ", ") + (distinct.count > 3 ? " …" : "")
  printError(
    "passed over: \(grouped(distinct.count)) \(distinct.count == 1 ? "file that is" : "files that are") not called "
      + ".\(ImageFolder.extensions.joined(separator: ", .")): \(examples)")
}

/// Text in columns. The first column is flush left, as is the last if it holds text; the others are flush right.
struct Table {
  private var rows: [[String]]
  private let lastIsText: Bool

  init(_ header: [String], lastIsText: Bool = false) {
    rows = [header]
    self.lastIsText = lastIsText
  }

  mutating func add(_ row: [String]) { rows.append(row) }

  var text: String {
    let widths = (rows.first ?? []).indices.map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { column, cell in
        if lastIsText && column == widths.count - 1 { return cell }
        let blanks = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + blanks : blanks + cell
      }.joined(separator: "  ").replacing(/[ ]+$/, with: "")
    }.joined(separator: "\n")
  }
}
