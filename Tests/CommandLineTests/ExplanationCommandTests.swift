import Foundation
import Images
import Support
import TestSupport
import Testing

/// Tests the pictures of `predict --explain`.
@Suite struct ExplanationCommandTests {
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.run(line.split(separator: " ").map(String.init), in: folder)
  }

  private func train(in folder: String) throws {
    try writePhotographs("\(folder)/data", train: 4, validation: 3)
    let trained = try run(
      "train --dataset folder --data data --model resnet8 --image-size 16 --batch-size 6 --max-steps 3 --output run", in: folder)
    #expect(trained.code == 0, "\(trained.err)")
  }

  private func rows(_ path: String) throws -> [[String]] { try CSV.rows(Array(try contents(path))).map(\.fields) }

  @Test func eachImageHasAPicture() throws {
    try withTemporaryFolder { folder in
      try train(in: folder)
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/bee/1.png"))
      let options = "predict --checkpoint run/last.safetensors --batch-size 4 data/val"
      let plain = try run(options, in: folder)
      let result = try run("\(options) --explain heat/maps", in: folder)
      // The predictions are those without explanations, and the damaged image is named.
      #expect(result.code == 1 && result.out == plain.out, "\(result.err)")
      #expect(result.errorLines.count == 1 && result.complaint.contains("data/val/bee/1.png: not an image"))
      let table = try rows("\(folder)/heat/maps/index.csv")
      #expect(table[0] == ["path", "picture", "class", "probability", "predicted", "predicted_probability", "error"])
      #expect(table.count == 10 && Set(table.dropFirst().map { $0[1] }).count == 9)
      for (index, row) in table.dropFirst().enumerated() {
        let (name, number) = (["ant", "bee", "cat"][index / 3], index % 3)
        #expect(row[0] == "data/val/\(name)/\(number).png")
        if index == 4 {
          #expect(row[1...5].allSatisfy(\.isEmpty) && row[6].contains("not an image"))
          continue
        }
        let probability = try #require(Double(row[3]))
        let stem = "\(number)_\(row[2])_\(String(format: "%.2f", probability))"
        #expect(row[1].hasPrefix(stem) && row[1].hasSuffix(".png") && row[4] == row[2] && row[5] == row[3] && row[6].isEmpty)
        let picture = try EncodedImage(contentsOf: "\(folder)/heat/maps/\(row[1])").decoded()
        #expect(picture.height == 224 && picture.width == 224 && Set(picture.pixels).count > 20)
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/heat/maps").count == 9)

      // A folder with explanations is left as it is.
      let again = try run("\(options) --explain heat/maps", in: folder)
      #expect(again.code == 1 && again.complaint.contains("heat/maps: it holds explanations already"), "\(again.err)")
      #expect(try rows("\(folder)/heat/maps/index.csv") == table)
      let within = try run("\(options) --explain data/val/maps", in: folder)
      #expect(within.code == 64 && within.complaint.contains("--explain data/val/maps lies in data/val"), "\(within.err)")
    }
  }

  @Test func aClassMayBeNamed() throws {
    try withTemporaryFolder { folder in
      try train(in: folder)
      let options = "--checkpoint run/last.safetensors"
      let piped = try Program.shell(
        "\"$0\" predict \(options) - --explain one --explain-class bee --json < data/val/cat/0.png", in: folder)
      #expect(piped.code == 0, "\(piped.err)")
      let row = try rows("\(folder)/one/index.csv")[1]
      #expect(row[0] == "-" && row[2] == "bee" && row[1].hasPrefix("image_bee_"), "\(row)")
      // The probability is that of the class, among those that are printed.
      guard case .array(let images) = try JSON(parsing: piped.out), case .array(let found)? = images[0]["predictions"] else {
        throw Surprise("no predictions: \(piped.out)")
      }
      let bee = try #require(found.first { $0["class"] == .string("bee") })
      #expect(bee["probability"] == Double(row[3]).map(JSON.number) && found[0]["class"] == .string(row[4]))
      let unknown = try run("predict \(options) data/val --explain two --explain-class wasp", in: folder)
      #expect(unknown.code == 1 && unknown.complaint.contains("no class is called 'wasp'"), "\(unknown.err)")
      #expect(!exists("\(folder)/two"))
      #expect(try run("export run/last.safetensors --output plain.onnx", in: folder).code == 0)
      let model = try run("predict --checkpoint plain.onnx data/val --explain two", in: folder)
      #expect(model.code == 1 && model.complaint.contains("plain.onnx: an ONNX model runs forward only"), "\(model.err)")
    }
  }

  static let wrong: [Wrong] = [
    Wrong("predict --checkpoint run/last.safetensors a.png --explain ''", 64, "--explain ''"),
    Wrong("predict --checkpoint run/last.safetensors a.png --explain-class bee", 64, "--explain-class", "--explain"),
    Wrong("predict --checkpoint run/last.safetensors a.png --explain x --tta flip", 64, "--explain", "--tta"),
    Wrong("predict --checkpoint run/last.safetensors a.png --explain x --features y", 64, "--features", "--explain"),
    Wrong("predict --checkpoint x --tensors images.safetensors --output y --explain z", 64, "--tensors", "--explain"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
