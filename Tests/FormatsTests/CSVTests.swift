import Compute
import Formats
import Support
import TestSupport
import Testing

/// Tests tables of comma-separated values, and matrices that are written row by row.
@Suite struct CSVTests {
  static let tables: [(String, [[String]], [Int])] = [
    ("a,b\nc,d\n", [["a", "b"], ["c", "d"]], [1, 2]), ("\u{FEFF}a;b\r\n\r\nc;d", [["a", "b"], ["c", "d"]], [1, 3]),
    ("a\tb,c\td\n", [["a", "b,c", "d"]], [1]), ("\"a,\"\"x\"\"\nz\",b\r\n,\n", [["a,\"x\"\nz", "b"], ["", ""]], [1, 3]),
    ("", [], []), ("a\rb\r", [["a"], ["b"]], [1, 2]), ("a\"b,c\"", [["a\"b", "c\""]], [1]),
  ]

  @Test(arguments: tables.indices) func rowsAreRead(_ index: Int) throws {
    let (text, fields, lines) = Self.tables[index]
    let rows = try CSV.rows(Array(text.utf8))
    #expect(rows.map(\.fields) == fields && rows.map(\.line) == lines)
  }

  @Test func writtenRowsAreReadAgain() throws {
    let fields = ["plain", "a,b", "say \"x\"", "two\r\nlines", "", " blank", "é;\t"]
    let row = CSV.row(fields)
    #expect(row == "plain,\"a,b\",\"say \"\"x\"\"\",\"two\r\nlines\",,\" blank\",é;\t\n")
    #expect(try CSV.rows(Array(row.utf8)).map(\.fields) == [fields])
  }

  @Test(arguments: [("a,\"b", "line 1: a quote is not closed"), ("a\n\"b\"c", "line 2: text follows a quoted field")])
  func wrongQuotesAreRefused(_ text: String, _ complaint: String) {
    #expect(failureMessage { _ = try CSV.rows(Array(text.utf8)) } == complaint)
  }

  @Test func otherEncodingsAreRefused() {
    #expect(failureMessage { _ = try CSV.rows([0x61, 0x0A, 0xFF, 0xFE]) } == "line 2: it is not in UTF-8")
  }

  @Test func rowsOfAMatrixNeedNoCountInAdvance() throws {
    try withTemporaryFolder { folder in
      for count in [0, 1, 1000] {
        let path = "\(folder)/\(count)"
        let rows = try Safetensors.writeRows("x", columns: 3, metadata: ["key": "é\"\n"], to: path) { append in
          for row in 0..<count { try append([Float(row), 0.5, -1][...]) }
          return [("text", HostTensor(Array("abc".utf8), shape: [3]))]
        }
        let file = try Safetensors.read(path)
        #expect(rows == count && file.metadata == ["key": "é\"\n"] && file.tensors["text"]?.bytes == Array("abc".utf8))
        #expect(file.tensors["x"] == HostTensor((0..<count).flatMap { [Float($0), 0.5, -1] }, shape: [count, 3]))
      }
      // An error leaves no file.
      #expect(throws: Surprise.self) {
        try Safetensors.writeRows("x", columns: 1, metadata: [:], to: "\(folder)/none") { _ in throw Surprise() }
      }
      #expect(!InputFile.exists("\(folder)/none"))
    }
  }

  private struct Surprise: Error {}
}
