import Compute
import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Tests features of images and the search by them.
@Suite struct FeatureTests {
  private func run(_ line: String, in folder: String) throws -> Program.Result {
    try Program.onReference(line, in: folder)
  }

  /// Trains a small network and exports it.
  private func train(in folder: String) throws {
    try writePhotographs("\(folder)/data", train: 4, validation: 3)
    let lines = [
      "train --dataset folder --data data --model resnet8 --image-size 16 --batch-size 6 --max-steps 3 --output run",
      "export run/last.safetensors --output plain.onnx", "export run/last.safetensors --output folded.onnx --fold",
    ]
    for line in lines { #expect(try run(line, in: folder).code == 0, "\(line)") }
  }

  private func array(_ text: String) throws -> [JSON] {
    guard case .array(let values) = try JSON(parsing: text) else { throw Surprise("no array: \(text)") }
    return values
  }

  private func number(_ value: JSON?) throws -> Double {
    switch value {
    case .number(let value)?: value
    case .integer(let value)?: Double(value)
    default: throw Surprise("no number: \(String(describing: value))")
    }
  }

  /// Multiplies the features by the last layer's weights, and compares with the probabilities of `predict`.
  @Test func featuresGiveTheLogits() throws {
    try withTemporaryFolder { folder in
      try train(in: folder)
      try Data("nonsense".utf8).write(to: URL(fileURLWithPath: "\(folder)/data/val/ant/1.png"))
      let weights = try Safetensors.read("\(folder)/run/last.safetensors").tensors
      let (w, b) = (try #require(weights["fc.weight"]).doubles, try #require(weights["fc.bias"]).doubles)
      for file in ["run/last.safetensors", "plain.onnx", "folded.onnx"] {
        let written = try run("predict --checkpoint \(file) data/val --features f.safetensors --batch-size 4", in: folder)
        #expect(written.code == 1 && written.complaint.contains("data/val/ant/1.png: not an image"), "\(written.err)")
        let features = try Safetensors.read("\(folder)/f.safetensors").tensors
        let (x, names) = (try #require(features["features"]), try #require(features["paths"]))
        let paths = names.bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        let predicted = try array(try run("predict --checkpoint \(file) data/val --json", in: folder).out)
          .filter { $0["error"] == nil }
        #expect(x.shape == [8, 64] && paths.map(JSON.string) == predicted.map { $0["path"] }, "\(file)")
        for (row, image) in predicted.enumerated() {
          let products = (0..<3).map { label in (0..<64).map { x.doubles[row * 64 + $0] * w[label * 64 + $0] } }
          let logits = zip(products, b).map { $0.reduce(0, +) + $1 }
          // Rounding of a sum of 64 products and the bias in float32, in any order (Higham 2002, section 3.1).
          let bound = zip(products, b).map { ($0.reduce(0) { $0 + abs($1) } + abs($1)) * 66 * 0x1p-24 }.max() ?? 0
          let total = log(logits.map(exp).reduce(0, +))
          guard case .array(let found)? = image["predictions"] else { throw Surprise("no predictions") }
          for candidate in found {
            let expected = logits[Int(try number(candidate["label"]))] - total
            #expect(abs(log(try number(candidate["probability"])) - expected) <= 2 * bound, "\(file) \(row)")
          }
        }
      }
    }
  }

  @Test func similarImagesAreFound() throws {
    try withTemporaryFolder { folder in
      try train(in: folder)
      let checkpoint = "--checkpoint run/last.safetensors"
      #expect(try run("predict \(checkpoint) data --features all.safetensors", in: folder).code == 0)
      let file = try Safetensors.read("\(folder)/all.safetensors").tensors
      let (x, names) = (try #require(file["features"]), try #require(file["paths"]))
      let paths = names.bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      let rows = paths.indices.map { Array(x.doubles[$0 * 64..<$0 * 64 + 64]) }
      let query = try #require(paths.firstIndex(of: "data/val/bee/1.png"))
      func cosine(_ a: [Double], _ b: [Double]) -> Double {
        func dot(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
      }
      let expected = paths.indices.filter { $0 != query }.map { (path: paths[$0], value: cosine(rows[query], rows[$0])) }
        .sorted { $0.value > $1.value }.prefix(4)
      for place in ["data", "all.safetensors"] {
        let result = try run("similar \(checkpoint) data/val/bee/1.png \(place) --top-k 4 --json", in: folder)
        #expect(result.code == 0, "\(result.err)")
        let found = try array(String(result.out.dropLast()))
        #expect(found.map { $0["path"] } == expected.map { .string($0.path) }, "\(place)")
        // Batches of another size may round in another order.
        #expect(try zip(found, expected).allSatisfy { abs(try number($0["similarity"]) - $1.value) < 1e-5 }, "\(place)")
      }
      let text = try run("similar \(checkpoint) data/val/bee/1.png data --top-k 1", in: folder)
      #expect(text.out.hasSuffix("  \(expected[0].path)\n"), "\(text.out)")
      // A file of another network's features is refused.
      try Safetensors.write(
        [("features", HostTensor([1, 2] as [Float], shape: [1, 2])), ("paths", HostTensor(Array("a".utf8), shape: [1]))],
        metadata: [:], to: "\(folder)/other.safetensors")
      let other = try run("similar \(checkpoint) data/val/bee/1.png other.safetensors", in: folder)
      #expect(other.code == 1 && other.complaint.contains("2 features of an image, and resnet8 has 64"), "\(other.err)")
      let values = (0..<64).map { $0 % 2 == 0 ? 1 : -1 } as [Float]
      let path = Array("data/val/ant/0.png".utf8)
      try Safetensors.write(
        [("features", HostTensor(values, shape: [1, 64])), ("paths", HostTensor(path, shape: [path.count]))], metadata: [:],
        to: "\(folder)/other.safetensors")
      let same = try run("similar \(checkpoint) data/val/bee/1.png other.safetensors", in: folder)
      #expect(same.code == 1 && same.complaint.contains("resnet8 has other features for data/val/ant/0.png"), "\(same.err)")
      let none = try run("similar \(checkpoint) data/val/bee/1.png run/last.safetensors", in: folder)
      #expect(none.code == 1 && none.complaint.contains("no features of images"), "\(none.err)")
      let many = try run("similar \(checkpoint) data/val data", in: folder)
      #expect(many.code == 64 && many.complaint.contains("it holds 9 images"), "\(many.err)")
    }
  }

  static let wrong: [Wrong] = [
    Wrong("predict --checkpoint run/last.safetensors a.png --features x --json", 64, "--features", "--json"),
    Wrong("predict --checkpoint run/last.safetensors a.png --features x --csv y", 64, "--features", "--csv"),
    Wrong("predict --checkpoint run/last.safetensors a.png --features x --tta flip", 64, "--features", "--tta"),
    Wrong("predict --checkpoint run/last.safetensors a.png --features ''", 64, "--features ''"),
    Wrong("predict --checkpoint run/last.safetensors empty --mean 0 --std 1 --features /nowhere/x", 1, "no folder /nowhere"),
    Wrong("predict --checkpoint run/last.safetensors --tensors images.safetensors --output x --features y", 64, "--features"),
    Wrong("similar --checkpoint run/last.safetensors a.png - --mean 0 --std 1", 64, "<place> -"),
    Wrong("similar --checkpoint run/last.safetensors gone.png nothing --mean 0 --std 1", 1, "gone.png"),
    Wrong("similar --checkpoint run/last.safetensors empty nothing --mean 0 --std 1", 1, "nothing: no images"),
    Wrong("similar --checkpoint run/last.safetensors a b --top-k 0", 64, "--top-k 0"),
  ]

  @Test(arguments: wrong) func isRefused(_ wrong: Wrong) throws { try wrong.check() }
}
