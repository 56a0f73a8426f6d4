import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Checks which class folder belongs to which output, whatever the names of the folders.
@Suite struct NamesTests {
  private static let normalization = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"

  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.onReference(line, in: folder)
  }

  /// Writes a folder of classes. Images of one color are the same in every call.
  private func write(_ classes: [String], count: Int, to folder: String) throws {
    for (number, name) in classes.enumerated() {
      for index in 0..<count {
        let color = (UInt8(number * 40 % 220), UInt8(number * 90 % 220), UInt8(90))
        let noise = UInt32(number * 10 + index)
        try writePicture("\(folder)/\(name)/\(index).png", height: 16, width: 16, color: color, noise: noise)
      }
    }
  }

  private func train(_ folder: String, _ data: String) throws -> Program.Result {
    let result = try run(
      "train --dataset folder --data \(data) --model resnet8 --image-size 16 --batch-size 8 --max-steps 2 --no-augment "
        + "--output run", in: folder)
    #expect(result.code == 0, "\(result.err)")
    return result
  }

  private struct Figures: Equatable {
    var confusion: [[Int]]
    var classes: [String]
    var notes: [Substring]
  }

  /// Returns the figures that `evaluate` prints, without the line about the images it measures on.
  private func evaluate(_ options: String, in folder: String) throws -> Figures {
    let result = try run("evaluate \(options) --json", in: folder)
    #expect(result.code == 0, "\(options): \(result.err)")
    let figures = try JSON(parsing: String(result.out.dropLast()))
    guard case .array(let rows)? = figures["confusion"], case .array(let records)? = figures["per_class"] else {
      throw Surprise("no confusion and classes: \(result.out)")
    }
    let confusion = rows.map { row -> [Int] in
      guard case .array(let counts) = row else { return [] }
      return counts.map { if case .integer(let count) = $0 { count } else { -1 } }
    }
    let classes = records.map { if case .string(let name)? = $0["class"] { name } else { "" } }
    return Figures(confusion: confusion, classes: classes, notes: result.errorLines.filter { !$0.hasPrefix("measuring on ") })
  }

  /// Uses folders that another system has unpacked, and names with other characters than letters.
  @Test func namesAreThoseOfTheFiles() throws {
    try withTemporaryFolder { folder in
      let names = ["cafz", "caf\u{E9}", "r\u{1B}[31m\ned"]
      try write(names, count: 4, to: "\(folder)/data/train")
      try write(names, count: 3, to: "\(folder)/data/val")
      try write(["cafz", "cafe\u{301}", names[2]], count: 3, to: "\(folder)/mac")
      let trained = try train(folder, "data")
      #expect(trained.out.contains("cafz, caf\u{E9}, r\\u{1B}[31m\\ned\n"), "\(trained.out)")
      #expect(trained.out.contains("to train on: train; to validate on: val\n"), "\(trained.out)")
      // The decomposed form sorts first.
      let checkpoint = "--checkpoint run/last.safetensors"
      let figures = try evaluate("\(checkpoint) --data data", in: folder)
      #expect(figures.confusion.map { $0.reduce(0, +) } == [3, 3, 3] && figures.notes.isEmpty)
      #expect(try evaluate("\(checkpoint) --data mac", in: folder) == figures)
      #expect(try evaluate("\(checkpoint) --data data/val", in: folder) == figures)
      // Both forms together are two classes, one too many here.
      try write(["caf\u{E9}"], count: 1, to: "\(folder)/mac")
      let refused = try run("evaluate \(checkpoint) --data mac", in: folder)
      #expect(refused.code == 1 && refused.complaint.contains("3 classes, mac has 4"), "\(refused.err)")
      try FileManager.default.removeItem(atPath: "\(folder)/mac/cafz")
      let other = try run("evaluate \(checkpoint) --data mac", in: folder)
      #expect(other.code == 1 && other.complaint.contains("only one of them has cafe\\u{0301}, cafz; every"), "\(other.err)")

      let text = try run("evaluate \(checkpoint) --data mac/../data", in: folder)
      #expect(text.code == 0 && text.out.contains("\nr\\u{1B}[31m\\ned ") && !text.out.contains("\u{1B}"), "\(text.out)")
      try write(["a\u{1B}", "b", "c"], count: 2, to: "\(folder)/others")
      let next = try run(
        "train --init run/last.safetensors --dataset folder --data others --max-steps 1 --output next", in: folder)
      #expect(next.code == 0 && next.out.contains("is for others: cafz, caf\u{E9}, r\\u{1B}[31m\\ned\n"), "\(next.err)")
    }
  }

  /// Checks a folder that has both forms of a name.
  @Test func twinsAreTwoClasses() throws {
    try withTemporaryFolder { folder in
      for part in ["train", "val"] { try write(["caf\u{E9}", "cafe\u{301}", "tea"], count: 2, to: "\(folder)/data/\(part)") }
      #expect(try train(folder, "data").out.contains("in different Unicode forms: caf\\u{00E9}, cafe\\u{0301}\n"))
      let figures = try evaluate("--checkpoint run/last.safetensors --data data", in: folder)
      #expect(figures.confusion.map { $0.reduce(0, +) } == [2, 2, 2])
      #expect(figures.classes.map { Array($0.utf8).count } == [6, 5, 3] && figures.notes.isEmpty)
    }
  }

  /// Checks that weights without class names use the order of text for folders with numbers as names, and that a note says so.
  @Test func numbersAreNoNames() throws {
    try withTemporaryFolder { folder in
      let byText = (0..<12).map(String.init).sorted()
      try write(byText, count: 2, to: "\(folder)/data/val")
      try write(byText, count: 2, to: "\(folder)/data/train")
      _ = try train(folder, "data")
      #expect(try evaluate("--checkpoint run/last.safetensors --data data", in: folder).classes == byText)
      _ = try run("export run/last.safetensors --output bare.safetensors", in: folder)
      let options = "--model resnet8 --image-size 16 \(Self.normalization)"
      try Data(byText.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: "\(folder)/names.txt"))
      for (output, names) in [("plain", ""), ("known", " --class-names names.txt")] {
        let imported = try run("import bare.safetensors \(options)\(names) --output \(output)", in: folder)
        #expect(imported.code == 0, "\(imported.err)")
      }
      let description = try #require(try Safetensors.read("\(folder)/plain").metadata["resnet"])
      #expect(try JSON(parsing: description)["classes"] == nil)
      #expect(try run("export plain --output plain.onnx", in: folder).code == 0)

      let named = try evaluate("--checkpoint known --dataset folder --data data", in: folder)
      #expect(named.classes == byText && named.notes.isEmpty)
      var byNumber = named
      (byNumber.classes, byNumber.notes) = ((0..<12).map(String.init), [])
      byNumber.confusion = try byNumber.classes.map { named.confusion[try #require(byText.firstIndex(of: $0))] }
      #expect(byNumber.confusion != named.confusion)
      for checkpoint in ["plain", "plain.onnx"] {
        let options = "--checkpoint \(checkpoint) --dataset folder --data data"
        let figures = try evaluate(options, in: folder)
        #expect(figures.confusion == named.confusion && figures.classes == byText)
        #expect(figures.notes.count == 1 && figures.notes[0].contains("as text, 0, 1, 10, 11, 2, …"), "\(figures.notes)")
        #expect(figures.notes[0].contains("--class-order number takes 0, 1, 2, 3, 4, …"), "\(figures.notes)")
        #expect(try evaluate("\(options) --class-order number", in: folder) == byNumber)
      }
      for option in ["--class-order text", "--class-names names.txt"] {
        #expect(try evaluate("--checkpoint plain --dataset folder --data data \(option)", in: folder) == named)
      }
      // The numbers do not begin with 0.
      for part in ["train", "val"] {
        try FileManager.default.moveItem(atPath: "\(folder)/data/\(part)/0", toPath: "\(folder)/data/\(part)/12")
      }
      let other = try evaluate("--checkpoint plain --dataset folder --data data", in: folder)
      #expect(other.classes == (1...12).map(String.init).sorted() && other.notes.count == 1, "\(other)")

      for (line, code, says) in [
        ("--checkpoint run/last.safetensors --class-order number", 64, "run/last.safetensors does: leave it out"),
        ("--checkpoint plain --dataset folder --class-names names.txt --class-order text", 64, "--class-names does: leave it"),
        ("--checkpoint plain --dataset folder --class-names names.txt", 1, "only one of them has 0, 12; every"),
        ("--checkpoint plain --dataset folder --class-order backwards", 64, "'backwards'"),
      ] as [(String, Int32, String)] {
        let refused = try run("evaluate \(line) --data data", in: folder)
        #expect(refused.code == code && refused.complaint.contains(says), "\(line): \(refused.err)")
      }
    }
  }

  /// Checks that the byte order mark that editors put at the beginning of a text is not part of the first name.
  @Test func classNamesMayBeginWithAMark() throws {
    try withTemporaryFolder { folder in
      _ = try run("export \(Samples.folder)/run/last.safetensors --output bare.safetensors", in: folder)
      try Data("\u{FEFF}ant\nbee\ncat\n".utf8).write(to: URL(fileURLWithPath: "\(folder)/names.txt"))
      let line = "import bare.safetensors --model resnet8 --class-names names.txt --output named.safetensors"
      #expect(try run(line, in: folder).code == 0)
      let description = try #require(try Safetensors.read("\(folder)/named.safetensors").metadata["resnet"])
      #expect(try JSON(parsing: description)["classes"] == .array(["ant", "bee", "cat"].map(JSON.string)))
      // The names apply to the outputs of a data set without names.
      let data = "--dataset tensors --data \(Samples.folder)/images.safetensors"
      let figures = try evaluate("--checkpoint bare.safetensors --model resnet8 \(data) --class-names names.txt", in: folder)
      #expect(figures.classes == ["ant", "bee", "cat"] && figures.notes.isEmpty)
    }
  }
}
