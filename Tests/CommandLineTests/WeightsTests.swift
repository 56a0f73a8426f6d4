import Compute
import Formats
import Foundation
import Testing

/// Weights come in from PyTorch, go out to it, and are run. `Scripts/make-checkpoint-fixtures.py` writes what is expected.
@Suite struct WeightsTests {
  private static func fixture(_ name: String) throws -> String {
    let parts = name.split(separator: ".").map(String.init)
    return try #require(Bundle.module.path(forResource: "Fixtures/\(parts[0])", ofType: parts[1]))
  }

  private func resnet(_ line: String, in folder: String) throws -> Program.Result {
    let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
    #expect(result.code == 0 && result.err.isEmpty, "\(line): \(result.err)")
    return result
  }

  @Test func pyTorchsWeightsAreImportedRunAndExported() throws {
    let expected = try Safetensors.read(try Self.fixture("resnet8.safetensors")).tensors
    let logits = try #require(expected["logits"])
    try withTemporaryFolder { folder in
      try FileManager.default.copyItem(atPath: try Self.fixture("resnet8.pth"), toPath: "\(folder)/a.b.pth")
      try FileManager.default.copyItem(atPath: try Self.fixture("resnet8.safetensors"), toPath: "\(folder)/images")
      let imported = try resnet("import a.b.pth --model resnet8", in: folder)
      #expect(imported.out == "resnet8, 74,821 parameters, 5 classes, in a.b.safetensors\n")
      // The checkpoint says what it is, the state dictionary does not.
      for (checkpoint, rest) in [
        ("a.b.safetensors", ""), ("a.b.pth", " --model resnet8"), ("a.b.safetensors", " --batch-size 2"),
      ] {
        _ = try resnet("predict --checkpoint \(checkpoint) --tensors images --output out\(rest)", in: folder)
        let found = try #require(try Safetensors.read("\(folder)/out").tensors["logits"])
        #expect(found.shape == logits.shape && found.type == .float32)
        let scale = logits.doubles.map(abs).max() ?? 0
        let error = zip(found.doubles, logits.doubles).map { abs($0 - $1) }.max() ?? .infinity
        #expect(error <= 1e-5 * scale, "\(checkpoint)\(rest): \(error) of \(scale)")
      }
      _ = try resnet("export a.b.safetensors --output c.safetensors", in: folder)
      let (plain, own) = (try Safetensors.read("\(folder)/c.safetensors"), try Safetensors.read("\(folder)/a.b.safetensors"))
      #expect(plain.tensors == own.tensors && plain.metadata == ["format": "pt"])
      let original = try PyTorchCheckpoint.read("\(folder)/a.b.pth").filter { !$0.key.hasSuffix("num_batches_tracked") }
      #expect(plain.tensors == original)
    }
  }

  /// A run's own weights go out and come back as the same bytes but for what they say of their origin.
  @Test func ownWeightsGoOutAndComeBack() throws {
    try withTemporaryFolder { folder in
      let own = "\(Samples.folder)/run/last.safetensors"
      _ = try resnet("export \(own) --output out.safetensors", in: folder)
      _ = try resnet("import out.safetensors --model resnet8 --output back.safetensors", in: folder)
      _ = try resnet("import \(own) --output again.safetensors", in: folder)
      let (first, second) = (try Safetensors.read(own), try Safetensors.read("\(folder)/back.safetensors"))
      #expect(first.tensors == second.tensors)
      #expect(try JSON(parsing: try #require(second.metadata["resnet"]))["model"]?["name"] == .string("resnet8"))
      #expect(try contents(own) == contents("\(folder)/again.safetensors"))
    }
  }

  /// A run's own network goes out as an ONNX model, kept and folded, and gives the same logits and the same figures.
  @Test func ownNetworksRunAsONNXModels() throws {
    try withTemporaryFolder { folder in
      let (own, images) = ("\(Samples.folder)/run/last.safetensors", "\(Samples.folder)/images.safetensors")
      let exported = try resnet("export \(own) --output kept.onnx", in: folder)
      #expect(exported.out.hasPrefix("resnet8, ") && exported.out.hasSuffix("3 classes, in kept.onnx\n"))
      _ = try resnet("export \(own) --fold --output folded.onnx", in: folder)
      // What it is shows in the contents too.
      try FileManager.default.copyItem(atPath: "\(folder)/kept.onnx", toPath: "\(folder)/renamed")
      var logits: [[Double]] = []
      for checkpoint in [own, "kept.onnx", "folded.onnx", "renamed"] {
        _ = try resnet("predict --checkpoint \(checkpoint) --tensors \(images) --output out --batch-size 3", in: folder)
        logits.append(try #require(try Safetensors.read("\(folder)/out").tensors["logits"]).doubles)
      }
      let scale = logits[0].map(abs).max() ?? 0
      for (other, bound) in zip(logits.dropFirst(), [1e-6, 1e-5, 1e-6]) {
        let error = zip(other, logits[0]).map { abs($0 - $1) }.max() ?? .infinity
        #expect(other.count == 24 && error <= bound * scale, "\(error) of \(scale)")
      }
      let evaluations = try [own, "kept.onnx"].map {
        try resnet("evaluate --checkpoint \($0) --dataset tensors --data \(images)", in: folder).out
      }
      #expect(evaluations[0].contains("images: loss") && evaluations[0] == evaluations[1])
    }
  }

  /// `--init` takes what `torch.save` wrote.
  @Test func trainingStartsFromPyTorchsWeights() throws {
    try withTemporaryFolder { folder in
      let images = HostTensor([Float](repeating: 0.5, count: 5 * 81 * 2), shape: [5, 9, 9, 2])
      let labels = HostTensor([0, 1, 2, 3, 4] as [Int32], shape: [5])
      try Safetensors.write([("images", images), ("labels", labels)], metadata: [:], to: "\(folder)/data.safetensors")
      let data = "--dataset tensors --data data.safetensors"
      let start = try Self.fixture("resnet8.pth")
      let options = "--model resnet8 --epochs 1 --batch-size 5 --learning-rate 0"
      _ = try resnet("train \(data) \(options) --init \(start) --output run", in: folder)
      let trained = try Safetensors.read("\(folder)/run/last.safetensors").tensors
      let original = try PyTorchCheckpoint.read(start)
      #expect(trained["conv1.weight"] == original["conv1.weight"] && trained["fc.bias"] == original["fc.bias"])
      // At a rate that does not lose them.
      let usual = try resnet(
        "train \(data) --model resnet8 --epochs 1 --batch-size 5 --init \(start) --output usual", in: folder)
      #expect(usual.out.contains("learning rate 0.01, a tenth of the usual one"), "\(usual.out)")
      // Without its last layer the network is told as well, and what is refused leaves no folder.
      let body = original.filter { !$0.key.hasPrefix("fc.") && !$0.key.hasSuffix("num_batches_tracked") }
      try Safetensors.write(body.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, metadata: [:], to: "\(folder)/body")
      for (line, says) in [("--init body", "resnet8 or plain8"), ("--model resnet14 --init \(start)", "layer1.1.conv1.weight")] {
        let refused = try Program.run("train \(data) \(line) --output refused".split(separator: " ").map(String.init), in: folder)
        #expect(refused.code != 0 && refused.complaint.contains(says), "\(refused.err)")
        #expect(!exists("\(folder)/refused"))
      }
      let headless = try resnet("train \(data) \(options) --init body --output headless", in: folder)
      #expect(headless.out.contains("fc, starts anew for 5 classes"), "\(headless.out)")
      let evaluated = try resnet("evaluate --checkpoint \(start) --model resnet8 \(data)", in: folder)
      #expect(evaluated.out.contains("5 images: loss"))
    }
  }

  @Test func maliciousWeightsRunNothing() throws {
    try withTemporaryFolder { folder in
      let path = try Self.fixture("malicious.pth")
      for line in [
        "import \(path) --output x", "evaluate --checkpoint \(path) --model resnet8", "export \(path) --output x.safetensors",
      ] {
        let result = try Program.run(line.split(separator: " ").map(String.init), in: folder)
        #expect(result.code == 1 && result.errorLines.count == 1)
        #expect(result.complaint.contains(path) && result.complaint.contains("'posix.system'"), "\(result.complaint)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
      }
    }
  }
}
