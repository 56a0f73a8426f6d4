import Foundation
import Support
import TestSupport
import Testing

/// Tests the files that `predict` makes of its predictions.
@Suite struct PredictionFileTests {
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.onReference(line, in: folder)
  }

  /// Trains a small network on photographs whose classes have names that are no valid names of folders.
  private func train(in folder: String) throws {
    try writePhotographs("\(folder)/data", train: 4, validation: 3)
    let trained = try run(
      "train --dataset folder --data data --model resnet8 --image-size 16 --batch-size 6 --max-steps 3 --output run", in: folder)
    #expect(trained.code == 0, "\(trained.err)")
    try Data("wasp/bee\n..\nunsure, \"rare\"\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/names.txt"))
  }

  private func rows(_ path: String) throws -> [Substring] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
  }

  @Test func tableHasARowForEachImage() throws {
    try withTemporaryFolder { folder in
      try train(in: folder)
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/bee/1.png"))
      let options = "--checkpoint run/last.safetensors --class-names names.txt --batch-size 2 data/val"
      let result = try run("predict \(options) --csv out.csv --top 2", in: folder)
      #expect(result.code == 1 && result.out.contains(/\(damaged\) +1\n/), "\(result.out)\(result.err)")
      let table = try rows("\(folder)/out.csv")
      #expect(table[0] == "path,class_1,probability_1,class_2,probability_2,error" && table.count == 10)
      #expect(table[5].hasPrefix("data/val/bee/1.png,,,,,") && table[5].contains("not an image"))
      // The table has the classes and probabilities of the JSON output, quoted where a name needs it.
      let json = try run("predict \(options) --json --top 2", in: folder)
      guard case .array(let images) = try JSON(parsing: json.out) else { throw Surprise("no array: \(json.out)") }
      #expect(images.count == 9)
      for (row, image) in zip(table.dropFirst(), images) {
        guard case .array(let found)? = image["predictions"], case .string(let path)? = image["path"] else { continue }
        let fields = found.map { candidate -> String in
          guard case .string(let name)? = candidate["class"], let probability = candidate["probability"] else { return "" }
          return "\(name.contains(",") ? "\"unsure, \"\"rare\"\"\"" : name),\(probability)"
        }
        #expect(row == "\(path),\(fields.joined(separator: ",")),")
      }
      // A table that cannot be written leaves nothing, and an input is never overwritten.
      let refused = try run("predict \(options) --csv names.txt", in: folder)
      #expect(refused.code == 64 && refused.complaint.contains("--csv names.txt is a file that is read"), "\(refused.err)")
      #expect(try run("predict \(options) --csv nowhere/x.csv", in: folder).err.contains("no folder nowhere"))
    }
  }

  @Test func imagesAreSorted() throws {
    try withTemporaryFolder { folder in
      try train(in: folder)
      let files = FileManager.default
      let before = try files.subpathsOfDirectory(atPath: "\(folder)/data").sorted()
      let options = "--checkpoint run/last.safetensors --class-names names.txt --top 1 data/val data/train"
      let result = try run("predict \(options) --sort-into sorted --csv out.csv", in: folder)
      #expect(result.code == 0, "\(result.err)")
      let names = ["wasp/bee": "wasp_bee", "..": "_..", "\"unsure, \"\"rare\"\"\"": "unsure, \"rare\""]
      var expected: [String: Set<String>] = [:]
      for row in try rows("\(folder)/out.csv").dropFirst() {
        let name = names.keys.first { row.contains(".png,\($0),") } ?? ""
        expected[names[name] ?? "", default: []].insert("\(folder)/\(row.prefix { $0 != "," })")
      }
      func targets(_ place: String) throws -> Set<String> {
        Set(
          try files.contentsOfDirectory(atPath: place).map {
            URL(fileURLWithPath: try files.destinationOfSymbolicLink(atPath: "\(place)/\($0)")).path
          })
      }
      for (name, paths) in expected {
        let resolved = Set(paths.map { URL(fileURLWithPath: $0).resolvingSymlinksInPath().path })
        #expect(try targets("\(folder)/sorted/\(name)") == resolved, "\(name)")
      }
      #expect(try files.contentsOfDirectory(atPath: "\(folder)/sorted").count == expected.count)

      // Sorting again finds its own links and adds none; copies get numbers; nothing that is there is overwritten.
      #expect(try run("predict \(options) --sort-into sorted", in: folder).out == result.out)
      #expect(try files.subpathsOfDirectory(atPath: "\(folder)/sorted").count == expected.count + 21)
      try files.createDirectory(atPath: "\(folder)/copies/unsure", withIntermediateDirectories: true)
      try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(folder)/copies/unsure/0.png"))
      let copied = try run("predict \(options) --sort-into copies --copy --above 1", in: folder)
      #expect(copied.code == 0 && copied.out.contains(/\(unsure\) +21\n/), "\(copied.out)\(copied.err)")
      let copies = try files.contentsOfDirectory(atPath: "\(folder)/copies/unsure").sorted()
      #expect(copies.count == 22 && copies.contains("0_7.png") && copies.contains("3_3.png"), "\(copies)")
      #expect(try contents("\(folder)/copies/unsure/0.png") == Data("mine".utf8))
      #expect(try contents("\(folder)/copies/unsure/0_2.png") == contents("\(folder)/data/val/ant/0.png"))
      #expect(try files.subpathsOfDirectory(atPath: "\(folder)/data").sorted() == before)

      let within = try run("predict \(options) --sort-into data/val/new", in: folder)
      #expect(within.code == 64 && within.err.contains("lies in data/val"), "\(within.err)")
    }
  }

  @Test func anImageMayBeOnStandardInput() throws {
    try withTemporaryFolder { folder in
      try train(in: folder)
      let options = "--checkpoint run/last.safetensors --json"
      let piped = try Program.shell("\"$0\" predict \(options) --device cpu - < data/val/bee/0.png", in: folder)
      let named = try run("predict \(options) data/val/bee/0.png", in: folder)
      #expect(piped.code == 0 && piped.out == named.out.replacing("data/val/bee/0.png", with: "-"), "\(piped.err)")
      let link = try Program.shell("\"$0\" predict \(options) - --sort-into x < data/val/bee/0.png", in: folder)
      #expect(link.code == 64 && link.complaint.contains("- is no file that a link could lead to: add --copy"), "\(link.err)")
      let copy = try Program.shell("\"$0\" predict \(options) - --sort-into x --copy < data/val/bee/0.png", in: folder)
      #expect(copy.code == 0 && !copy.out.isEmpty, "\(copy.err)")
      let empty = try run("predict \(options) -", in: folder)
      #expect(empty.code == 1 && empty.complaint.contains("-: empty"), "\(empty.err)")
    }
  }

  static let wrong: [Wrong] = [
    Wrong("predict --checkpoint run/last.safetensors a.png --copy", 64, "--copy", "--sort-into"),
    Wrong("predict --checkpoint run/last.safetensors a.png --above 0.5", 64, "--above", "--sort-into"),
    Wrong("predict --checkpoint run/last.safetensors a.png --sort-into x --above 1.5", 64, "--above 1.5"),
    Wrong("predict --checkpoint run/last.safetensors a.png --sort-into x --above nan", 64, "--above nan"),
    Wrong("predict --checkpoint run/last.safetensors a.png --csv ''", 64, "--csv ''"),
    Wrong("predict --checkpoint run/last.safetensors - -", 64, "standard input holds one image"),
    Wrong("predict --checkpoint run/last.safetensors --tensors images.safetensors --output x --csv y", 64, "--csv"),
    Wrong("predict --checkpoint run/last.safetensors empty --mean 0 --std 1 --sort-into empty", 1, "empty: a file has that name"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
