import Foundation
import FuzzParsers
import TestSupport
import Testing

/// Inputs on which a parser once failed, found by `Scripts/fuzz`, and ordinary files cut and changed.
@Suite struct FuzzTests {
  private static let inputs = Bundle.module.resourcePath! + "/Inputs"

  @Test(arguments: FuzzParser.allCases)
  func inputsOfTheFuzzerDoNoHarm(_ parser: FuzzParser) throws {
    let folder = "\(Self.inputs)/\(parser.rawValue)"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() {
      let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
      let isValid = try parser.reads(bytes)
      #expect(isValid == name.hasPrefix("valid"), "\(parser): \(name)")
    }
  }
}
