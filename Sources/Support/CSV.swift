/// Text of comma-separated values (RFC 4180).
package enum CSV {
  /// Returns a row with its line end. Fields with commas, quotes, line breaks or blanks at an end are quoted.
  package static func row(_ fields: [String]) -> String { fields.map(quoted).joined(separator: ",") + "\n" }

  /// Row of a table, with the number of its first line, from 1.
  package struct Row: Sendable, Equatable {
    package let line: Int
    package let fields: [String]
  }

  /// Splits a table in UTF-8 into rows, without a byte order mark and without empty lines. The separator is the one of comma,
  /// semicolon and tab that is the most frequent in the first line, outside quotes.
  /// - Throws: a ``Failure`` that names the line if the text is not UTF-8 or a quote is not closed or misplaced.
  package static func rows(_ bytes: [UInt8]) throws -> [Row] {
    let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    var reader = Reader(bytes: bytes.starts(with: mark) ? bytes.dropFirst(mark.count) : bytes[...])
    return try reader.readAll()
  }

  /// Splits the table in a file into rows, as ``rows(_:)`` does.
  /// - Throws: a ``Failure`` that names the file, and the line if it is damaged.
  package static func rows(of file: borrowing InputFile) throws -> [Row] {
    let bytes = try file.read()
    do { return try rows(bytes) } catch let failure as Failure { throw failure.about(file.path) }
  }

  private struct Reader {
    let bytes: ArraySlice<UInt8>
    private let separator: UInt8
    private var place: Int
    private var line = 1

    private static let (quote, lineFeed, carriageReturn) = (UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r"))

    init(bytes: ArraySlice<UInt8>) {
      self.bytes = bytes
      place = bytes.startIndex
      var (counts, isQuoted) = ([UInt8: Int](), false)
      for byte in bytes {
        if byte == Self.quote { isQuoted.toggle() }
        if !isQuoted {
          if byte == Self.lineFeed || byte == Self.carriageReturn { break }
          counts[byte, default: 0] += 1
        }
      }
      let candidates = [UInt8(ascii: ","), UInt8(ascii: ";"), UInt8(ascii: "\t")]
      let most = candidates.map { counts[$0] ?? 0 }.max() ?? 0
      separator = candidates.first { counts[$0] ?? 0 == most } ?? candidates[0]
    }

    mutating func readAll() throws -> [Row] {
      var rows: [Row] = []
      while place < bytes.endIndex {
        let row = try readRow()
        if row.fields != [""] { rows.append(row) }
      }
      return rows
    }

    private mutating func readRow() throws -> Row {
      let first = line
      var fields = [try readField()]
      while place < bytes.endIndex, bytes[place] == separator {
        place += 1
        fields.append(try readField())
      }
      // A line ends with a line feed, a carriage return, or both.
      if place < bytes.endIndex, bytes[place] == Self.carriageReturn { place += 1 }
      if place < bytes.endIndex, bytes[place] == Self.lineFeed { place += 1 }
      line += 1
      return Row(line: first, fields: fields)
    }

    private mutating func readField() throws -> String {
      var field: [UInt8] = []
      let begin = line
      if place < bytes.endIndex, bytes[place] == Self.quote {
        place += 1
        while true {
          guard place < bytes.endIndex else { throw Failure(.damagedFile, "line \(begin): a quote is not closed") }
          let byte = bytes[place]
          place += 1
          if byte == Self.lineFeed { line += 1 }
          if byte != Self.quote {
            field.append(byte)
          } else if place < bytes.endIndex, bytes[place] == Self.quote {
            field.append(byte)
            place += 1
          } else {
            break
          }
        }
        guard place == bytes.endIndex || isEnd(bytes[place]) else {
          throw Failure(.damagedFile, "line \(line): text follows a quoted field")
        }
      } else {
        let rest = bytes[place...].prefix { !isEnd($0) }
        field = Array(rest)
        place = rest.endIndex
      }
      guard let text = String(validating: field, as: UTF8.self) else {
        throw Failure(.damagedFile, "line \(begin): it is not in UTF-8")
      }
      return text
    }

    private func isEnd(_ byte: UInt8) -> Bool { byte == separator || byte == Self.lineFeed || byte == Self.carriageReturn }
  }

  private static func quoted(_ field: String) -> String {
    let isSpecial = field.unicodeScalars.contains { ",\"\r\n".unicodeScalars.contains($0) }
    guard isSpecial || field.first == " " || field.last == " " else { return field }
    return "\"" + field.replacing("\"", with: "\"\"") + "\""
  }
}
