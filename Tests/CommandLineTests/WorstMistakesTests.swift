import Foundation
import TestSupport
import Testing

/// Tests the worst mistakes that `evaluate` names.
@Suite struct WorstMistakesTests {
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
    #expect(result.code == 0, "\(line): \(result.err)")
    return result
  }

  static let wrong: [Wrong] = [
    Wrong("evaluate --checkpoint run --worst 0", 64, "--worst 0", "1"),
    Wrong("evaluate --checkpoint run --worst 1001", 64, "--worst 1001", "1,000"),
    Wrong("evaluate --checkpoint run --worst-sheet a.jpg", 64, "--worst-sheet 'a.jpg'", ".png"),
    Wrong("evaluate --checkpoint run --worst-sheet nowhere/a.png", 1, "nowhere/a.png", "no folder"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }

  /// The mistakes of `evaluate` are those that the run found when it was validated.
  @Test func evaluateNamesTheWorstMistakes() throws {
    try withTemporaryFolder { folder in
      let record = try JSONSerialization.jsonObject(with: contents("\(Samples.folder)/run/validation.json"))
      let known = try #require((record as? [String: Any])?["worst"] as? [[String: Any]])
      #expect(known.count > 1, "the test needs mistakes")
      let line = "evaluate --checkpoint \(Samples.folder)/run --worst 2 --worst-sheet sheet.png"
      let result = try run("\(line) --json", in: folder)
      let json = try JSONSerialization.jsonObject(with: Data(result.out.utf8))
      let worst = try #require((json as? [String: Any])?["worst"] as? [[String: Any]])
      #expect(worst.map { $0["sample"] as? Int } == known.prefix(2).map { $0["sample"] as? Int })
      for (mistake, old) in zip(worst, known) {
        for (name, kept) in [("probability", "probability"), ("class_probability", "labelProbability")] {
          let (value, expected) = (try #require(mistake[name] as? Double), try #require(old[kept] as? Double))
          #expect(abs(value - expected) < 1e-5)
        }
      }
      // Two pictures of 96 pixels, with four between them.
      let sheet = [UInt8](try contents("\(folder)/sheet.png"))
      #expect(sheet.prefix(4) == [0x89, 0x50, 0x4E, 0x47] && sheet[19] == 204 && sheet[23] == 104)
      let text = try run(line, in: folder).out
      let first = try #require(worst.first?["sample"] as? Int)
      #expect(text.contains("worst mistakes") && text.contains("image \(first)"), "\(text)")
      #expect(!(try run("evaluate --checkpoint \(Samples.folder)/run", in: folder).out.contains("worst mistakes")))
    }
  }
}
