import Compute
import Formats
import Foundation
import Support
import TestSupport
import Testing

/// Tests importing weights from PyTorch, exporting them to it, and running them. `Scripts/make-checkpoint-fixtures.py`
/// writes the expected results.
@Suite struct WeightsTests {
  private static func fixture(_ name: String) throws -> String {
    let parts = name.split(separator: ".").map(String.init)
    return try #require(Bundle.module.path(forResource: "Fixtures/\(parts[0])", ofType: parts[1]))
  }

  /// Returns the tensors under the key `model`.
  private static func tensors(_ path: String) throws -> [String: HostTensor] {
    let file = try WeightsFile(path)
    return try file.read(try #require(file.dictionaries.firstIndex { $0.key == "model" }))
  }

  private func resnet(_ line: String, in folder: String) throws -> Program.Result {
    let result = try Program.onReference(line, in: folder)
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
      // The checkpoint contains its architecture, the state dictionary does not.
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
      let original = try Self.tensors("\(folder)/a.b.pth").filter { !$0.key.hasSuffix("num_batches_tracked") }
      #expect(plain.tensors == original)
    }
  }

  /// Checks that a run's weights, exported and imported again, are the same bytes except for the metadata about their origin.
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

  /// Checks that a run's network, exported as an ONNX model, with and without folding, gives the same logits and figures.
  @Test func ownNetworksRunAsONNXModels() throws {
    try withTemporaryFolder { folder in
      let (own, images) = ("\(Samples.folder)/run/last.safetensors", "\(Samples.folder)/images.safetensors")
      let exported = try resnet("export \(own) --output kept.onnx", in: folder)
      #expect(exported.out.hasPrefix("resnet8, ") && exported.out.hasSuffix("3 classes, in kept.onnx\n"))
      _ = try resnet("export \(own) --fold --output folded.onnx", in: folder)
      // The file kind is recognized by the contents too.
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

  /// Checks that `--init` accepts a file written by `torch.save`.
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
      let original = try Self.tensors(start)
      #expect(trained["conv1.weight"] == original["conv1.weight"] && trained["fc.bias"] == original["fc.bias"])
      // The learning rate is low enough to keep the weights useful.
      let usual = try resnet(
        "train \(data) --model resnet8 --epochs 1 --batch-size 5 --init \(start) --output usual", in: folder)
      #expect(usual.out.contains("learning rate 0.01, a tenth of the usual one"), "\(usual.out)")
      // The network is recognized without its last layer too, and a refused command leaves no folder.
      let body = original.filter { !$0.key.hasPrefix("fc.") && !$0.key.hasSuffix("num_batches_tracked") }
      try Safetensors.write(body.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, metadata: [:], to: "\(folder)/body")
      for (line, says) in [("--init body", "resnet8 or plain8"), ("--model resnet14 --init \(start)", "layer1.1.conv1.weight")] {
        let refused = try Program.onReference("train \(data) \(line) --output refused", in: folder)
        #expect(refused.code != 0 && refused.complaint.contains(says), "\(refused.err)")
        #expect(!exists("\(folder)/refused"))
      }
      let headless = try resnet("train \(data) \(options) --init body --output headless", in: folder)
      #expect(headless.out.contains("fc, starts anew for 5 classes"), "\(headless.out)")
      let evaluated = try resnet("evaluate --checkpoint \(start) --model resnet8 \(data)", in: folder)
      #expect(evaluated.out.contains("5 images: loss"))
    }
  }

  /// Checks that nothing in a file is executed: code beside the weights is skipped, code among them is refused.
  @Test func maliciousWeightsRunNothing() throws {
    try withTemporaryFolder { folder in
      let (outside, inside) = (try Self.fixture("malicious.pth"), try Self.fixture("malicious-inside.pth"))
      _ = try resnet("import \(outside) --model resnet8 --output x", in: folder)
      _ = try resnet("import \(try Self.fixture("resnet8.pth")) --model resnet8 --output y", in: folder)
      #expect(try contents("\(folder)/x") == contents("\(folder)/y"))
      for line in [
        "import \(inside) --output z", "evaluate --checkpoint \(inside) --model resnet8",
        "export \(inside) --output z.safetensors",
        "train --init \(inside) --output z",
      ] {
        let result = try Program.onReference(line, in: folder)
        #expect(result.code == 1 && result.errorLines.count == 1)
        #expect(result.complaint.contains("\(inside): 'fc.bias' is what 'posix.system' would make"), "\(result.complaint)")
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["x", "y"])
    }
  }

  /// Checks that one of several networks' weights in a file is chosen, and that `--key` and `--prefix` choose others in
  /// every command.
  @Test func keyAndPrefixChooseWeights() throws {
    try withTemporaryFolder { folder in
      try FileManager.default.copyItem(atPath: try Self.fixture("twins.pth"), toPath: "\(folder)/twins.pth")
      func bias(_ line: String, says: String...) throws -> [Double] {
        let result = try Program.onReference(line, in: folder)
        #expect(result.code == 0, "\(result.err)")
        #expect(says.isEmpty ? result.err.isEmpty : says.allSatisfy(result.err.contains), "\(result.err)")
        return try #require(try Safetensors.read("\(folder)/x").tensors["fc.bias"]).doubles
      }
      let start = "import twins.pth --model resnet8 --output x"
      let plain = try bias(
        start, says: "under 'state_dict', named 'model.…' are taken", "under 'ema.shadow'", "'criterion.weight'")
      let average = try bias(start + " --key ema.shadow")
      #expect(plain.map { $0 + 1 } == average)
      #expect(try bias(start + " --prefix model", says: "'criterion.weight'") == plain)
      for (line, code, says) in [
        (start + " --key nothing", 1, "no dictionary is under 'nothing': there are 'state_dict', "),
        (start + " --prefix net", 1, "no tensor is named 'net.…'"),
        (
          "predict --checkpoint twins.pth --model resnet8 --key optimizer --tensors a --output b", 1, "there are no tensors in it"
        ),
        ("train --init twins.pth --model resnet8 --key nothing --output run", 1, "no dictionary is under 'nothing'"),
        ("train --key state_dict", 64, "--key"), ("evaluate --checkpoint a.onnx --prefix x", 64, "--prefix"),
      ] {
        let result = try Program.onReference(line, in: folder)
        #expect(result.code == code && result.err.contains(says), "\(line): \(result.err)")
      }
    }
  }

  /// Checks that the message names the kind of a foreign file, before any reader parses it.
  @Test func otherFilesAreNamed() throws {
    try withTemporaryFolder { folder in
      let pointer =
        "version https://git-lfs.github.com/spec/v1\noid sha256:\(String(repeating: "4d7a", count: 16))\nsize 102540417\n"
      for ending in ["safetensors", "pth", "onnx", "jpg"] {
        try pointer.write(toFile: "\(folder)/lfs.\(ending)", atomically: true, encoding: .utf8)
      }
      let weights = "--checkpoint \(try Self.fixture("resnet8.pth")) --model resnet8"
      for (line, says) in [
        ("import lfs.safetensors", "lfs.safetensors: this is a git-lfs pointer"),
        ("import lfs.pth", "not weights: it stands for a file that was not fetched: do so with git lfs pull"),
        ("predict --checkpoint lfs.onnx lfs.jpg", "lfs.onnx: this is a git-lfs pointer"),
        ("train --init lfs.pth", "lfs.pth: this is a git-lfs pointer"),
        (
          "predict --checkpoint \(Samples.folder)/run/last.safetensors --mean 0 --std 1 lfs.jpg",
          "(JPEG, PNG, WebP, GIF, BMP, TIFF): this is a git-lfs pointer: it stands for"
        ),
        ("predict \(weights) --tensors lfs.safetensors --output o", "not a safetensors file: it stands for"),
      ] {
        let result = try Program.onReference(line, in: folder)
        #expect(result.code == 1 && result.errorLines.count == 1 && result.complaint.contains(says), "\(line): \(result.err)")
      }
    }
  }
}
