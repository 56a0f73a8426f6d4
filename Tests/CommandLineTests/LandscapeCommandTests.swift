import Foundation
import Support
import TestSupport
import Testing

/// Tests `landscape` on a small network.
@Suite struct LandscapeCommandTests {
  private static let weights = "\(Samples.folder)/run/last.safetensors"
  private static let options = "--steps 3 --batch-size 4"

  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.run(line.split(separator: " ").map(String.init), in: folder)
  }

  private func array(_ value: JSON?) throws -> [JSON] {
    guard case .array(let values)? = value else { throw Surprise("not an array: \(String(describing: value))") }
    return values
  }

  private func number(_ value: JSON?) throws -> Double {
    switch value {
    case .integer(let value)?: Double(value)
    case .number(let value)?: value
    default: throw Surprise("not a number: \(String(describing: value))")
    }
  }

  @Test func middleIsWhatEvaluatePrints() throws {
    try withTemporaryFolder { folder in
      let before = try contents(Self.weights)
      let line = "landscape \(Self.weights) \(Self.options) --json"
      let mapped = try run("\(line) --output a", in: folder)
      #expect(mapped.code == 0, "\(mapped.err)")
      let result = try JSON(parsing: String(mapped.out.dropLast()))
      let landscape = try #require(try array(result["landscapes"]).first)
      let evaluated = try run("evaluate --checkpoint \(Self.weights) --split train --batch-size 4 --json", in: folder)
      let figures = try JSON(parsing: String(evaluated.out.dropLast()))
      #expect(landscape["loss"] == figures["loss"] && landscape["accuracy"] == figures["top1"], "\(evaluated.err)")
      #expect(landscape["images"] == .integer(8) && landscape["network"] == .string("resnet8"))
      #expect(try array(landscape["offsets"]).map(number) == [-1, 0, 1])
      let losses = try array(landscape["losses"]).map { try array($0).map(number) }
      #expect(losses.map(\.count) == [3, 3, 3] && Set(losses.flatMap(\.self)).count == 9)
      #expect(try losses[1][1] == number(landscape["loss"]))

      // The table has the same figures.
      let rows = try String(contentsOfFile: "\(folder)/a/landscape.csv", encoding: .utf8).split(separator: "\n")
      #expect(rows.first == "checkpoint,network,x,y,loss,accuracy" && rows.count == 10)
      let fields = rows.dropFirst().map { $0.split(separator: ",").suffix(4).compactMap { Double($0) } }
      #expect(fields.map { $0[2] } == losses.flatMap(\.self))
      #expect(fields[0].prefix(2) == [-1, -1] && fields[1].prefix(2) == [0, -1] && fields[8].prefix(2) == [1, 1])

      // The same seed gives the same bytes, another seed another landscape around the same middle.
      #expect(try run("\(line) --output b", in: folder).out == mapped.out)
      for file in ["landscape.csv", "contours.svg", "surface.svg"] {
        #expect(try contents("\(folder)/a/\(file)") == contents("\(folder)/b/\(file)"), "\(file)")
      }
      let other = try JSON(parsing: String(try run("\(line) --output b --seed 1", in: folder).out.dropLast()))
      let another = try #require(try array(other["landscapes"]).first)
      #expect(another["loss"] == landscape["loss"] && another["losses"] != landscape["losses"])
      #expect(try contents(Self.weights) == before)
    }
  }

  @Test func networksStandSideBySide() throws {
    try withTemporaryFolder { folder in
      let both = "\(Self.weights) \(Samples.folder)/run"
      let result = try run("landscape \(both) \(Self.options) --limit 5 --range 0.5 --output out", in: folder)
      #expect(result.code == 0, "\(result.err)")
      let lines = result.out.split(separator: "\n")
      #expect(lines.count == 3 && lines[0].hasPrefix("checkpoint") && lines[1].contains("resnet8       5"), "\(result.out)")
      #expect(result.err.contains("out/contours.svg") && result.err.contains("is measured on 5 images"), "\(result.err)")
      let contours = try XMLElements(try String(contentsOfFile: "\(folder)/out/contours.svg", encoding: .utf8))
      let surface = try XMLElements(try String(contentsOfFile: "\(folder)/out/surface.svg", encoding: .utf8))
      #expect(contours.named("rect").filter { $0["class"] == "axis" }.count == 2)
      #expect(contours.named("line").filter { $0["class"] == "center" }.count == 4)
      #expect(contours.named("path").contains { $0["class"]?.hasPrefix("level color") == true })
      // Both networks have the same name, so the files tell them apart.
      for file in ["last", "best"] { #expect(contours.texts.contains { $0.hasPrefix("\(file).safetensors, loss ") }) }
      #expect(contours.texts.contains("0.25"))
      #expect(surface.named("path").filter { $0["class"]?.hasPrefix("face color") == true }.count == 8)
      // The picture follows the colors of its viewer.
      #expect(contours.texts.contains { $0.contains("prefers-color-scheme: dark") })
    }
  }

  static let wrong: [Wrong] = [
    Wrong("landscape run/last.safetensors --steps 4", 64, "--steps 4", "odd"),
    Wrong("landscape run/last.safetensors --steps 1", 64, "--steps 1"),
    Wrong("landscape run/last.safetensors --range 0", 64, "--range 0"),
    Wrong("landscape run/last.safetensors --range nan", 64, "--range nan"),
    Wrong("landscape run/last.safetensors --limit 0", 64, "--limit 0"),
    Wrong("landscape run/last.safetensors --output ''", 64, "--output ''"),
    Wrong("landscape ''", 64, "<checkpoint> ''"),
    Wrong("landscape --steps 3", 64, "no run under runs/", "name weights"),
    Wrong("landscape run/last.safetensors missing.safetensors --output empty", 1, "missing.safetensors"),
    Wrong("landscape model.onnx", 1, "model.onnx", "ONNX", "checkpoint"),
    Wrong("landscape run/last.safetensors --output empty", 1, "empty: a file has that name"),
    Wrong("landscape bare.safetensors --model resnet8 --output refused", 64, "bare.safetensors", "--dataset"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
