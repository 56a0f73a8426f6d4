import Checkpoints
import Compute
import Formats
import Foundation
import Models
import Support
import TestSupport
import Testing
import Training

/// Tests finding a network's weights among other tensors, and under other programs' names.
@Suite struct WeightsChoiceTests {
  /// Returns the tensors of ResNet-8 with projections, for five classes, under torchvision's names.
  private static func network(_ offset: Float = 0) throws -> [String: HostTensor] {
    let model = try ResNet(ModelConfiguration(name: "resnet8", classes: 5, shortcut: .projection))
    return Dictionary(
      uniqueKeysWithValues: model.store.entries.enumerated().map { number, entry in
        (entry.name, HostTensor((0..<entry.torchShape.count).map { Float($0 % 7 + number) + offset }, shape: entry.torchShape))
      })
  }

  private static func prefixed(_ prefix: String, _ tensors: [String: HostTensor]) -> [String: HostTensor] {
    Dictionary(uniqueKeysWithValues: tensors.map { (prefix + $0, $1) })
  }

  private static let number = HostTensor([3] as [Int32], shape: [])

  private func read(_ tensors: [String: HostTensor], at place: WeightsPlace = WeightsPlace()) throws -> Weights {
    try withTemporaryFolder { folder in
      let path = "\(folder)/weights.safetensors"
      try Safetensors.write(tensors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, metadata: [:], to: path)
      return try Weights(contentsOf: path, at: place)
    }
  }

  @Test(arguments: ["", "model.", "module.", "net.", "_orig_mod.module.", "a.b.c.backbone.", "timm_model."])
  func anyPrefixIsLeftOut(prefix: String) throws {
    let network = try Self.network()
    let weights = try read(Self.prefixed(prefix, network))
    #expect(weights.tensors == network)
    #expect(weights.origin.place.prefix == prefix && weights.origin.others.isEmpty && weights.origin.leftOut.isEmpty)
  }

  @Test func whatIsBesideIsLeftOutAndNamed() throws {
    let network = try Self.network()
    let weights = try read(
      Self.prefixed("module.", network).merging(["n_averaged": Self.number, "loss.weight": Self.number]) { $1 })
    #expect(weights.tensors == network && Set(weights.origin.leftOut) == ["n_averaged", "loss.weight"])
  }

  /// Checks that the moving average is used only if it is named explicitly, or if there are no other weights.
  @Test(arguments: ["ema.", "ema_model.module.", "model_ema.", "teacher."])
  func averagesAreNotTakenByThemselves(prefix: String) throws {
    let (plain, average) = (try Self.network(), try Self.network(0.5))
    for beside in ["", "model."] {
      let tensors = Self.prefixed(beside, plain).merging(Self.prefixed(prefix, average)) { $1 }
      let weights = try read(tensors)
      #expect(weights.tensors == plain && weights.origin.others.map(\.prefix) == [prefix] && weights.origin.leftOut.isEmpty)
      #expect(try read(tensors, at: WeightsPlace(prefix: prefix)).tensors == average)
      #expect(try read(tensors, at: WeightsPlace(key: "", prefix: beside)).tensors == plain)
    }
    #expect(try read(Self.prefixed(prefix, average)).tensors == average)
  }

  @Test func theOnlyOneThatFitsIsTaken() throws {
    let network = try Self.network()
    var other = Self.prefixed("encoder.", network)
    other["encoder.layer1.0.se.weight"] = Self.number
    let weights = try read(Self.prefixed("net.", network).merging(other) { $1 })
    #expect(weights.tensors == network && weights.origin.others.map(\.prefix) == ["encoder."])
  }

  @Test func severalThatFitAreNamed() throws {
    let tensors = Self.prefixed("encoder_q.", try Self.network()).merging(Self.prefixed("encoder_k.", try Self.network(1))) { $1 }
    let ambiguity = try #require(#expect(throws: WeightsAmbiguity.self) { _ = try read(tensors) })
    #expect(ambiguity.places.map(\.prefix) == ["encoder_k.", "encoder_q."])
    #expect(ambiguity.description.contains("2 networks: named 'encoder_k.…'; named 'encoder_q.…'"))
    #expect(try read(tensors, at: WeightsPlace(prefix: "encoder_k.")).tensors == Self.network(1))
  }

  /// Checks programs that use another name for the last layer, or keep it elsewhere.
  @Test(arguments: [
    ("", "linear.", nil), ("model.", "model.classifier.", nil), ("resnet.", "classifier.1.", nil),
    ("backbone.", "head.fc.", "head.fc"),
    ("module.backbone.", "module.fc.", "module.fc"),
  ])
  func theLastLayerIsFound(prefix: String, head: String, said: String?) throws {
    let network = try Self.network()
    let tensors = network.map { name, tensor in
      (name.hasPrefix("fc.") ? head + name.dropFirst(3) : prefix + name, tensor)
    }
    let weights = try read(Dictionary(uniqueKeysWithValues: tensors))
    #expect(weights.tensors == network && weights.origin.head == said && weights.origin.leftOut.isEmpty)
  }

  @Test func namesOfTransformersAreKnown() throws {
    let network = try Self.network()
    let kinds = ["conv": "convolution", "bn": "normalization"]
    let tensors = network.map { name, tensor -> (String, HostTensor) in
      let parts = name.split(separator: ".").map(String.init)
      let kind = { (part: String) in kinds[String(part.dropLast())] ?? part }
      if parts[0] == "fc" { return ("classifier.1.\(parts[1])", tensor) }
      if parts.count == 2 { return ("resnet.embedder.embedder.\(kind(parts[0])).\(parts[1])", tensor) }
      let block = "resnet.encoder.stages.\((Int(parts[0].suffix(1)) ?? 0) - 1).layers.\(parts[1])"
      let part =
        parts[2] == "downsample"
        ? "shortcut.\(parts[3] == "0" ? "convolution" : "normalization")"
        : "layer.\((Int(parts[2].suffix(1)) ?? 0) - 1).\(kind(parts[2]))"
      return ("\(block).\(part).\(parts[parts.count - 1])", tensor)
    }
    #expect(try read(Dictionary(uniqueKeysWithValues: tensors)).tensors == network)
  }

  @Test func whatIsFoundInsteadIsNamed() throws {
    func message(_ tensors: [String: HostTensor], at place: WeightsPlace = WeightsPlace()) throws -> String {
      try #require(#expect(throws: Failure.self) { _ = try read(tensors, at: place) }).description
    }
    let other = ["features.0.weight": HostTensor([1, 2] as [Float], shape: [2]), "head.bias": Self.number]
    #expect(try message(other).contains("it holds 'features.0.weight' [2], 'head.bias' [], and among the names 'conv1.weight'"))
    #expect(try message([:]).contains("there are no tensors in it"))
    let network = try Self.network()
    #expect(
      try message(network, at: WeightsPlace(prefix: "model.")).contains("no tensor is named 'model.…': there are 'bn1.bias' [16]")
    )
    #expect(try message(network, at: WeightsPlace(key: "model")).contains("no dictionary is under 'model'"))
    // Two of these names mean the same tensor.
    let names = network.merging(["layer2.0.shortcut.0.weight": network["layer2.0.downsample.0.weight"] ?? Self.number]) { $1 }
    #expect(try message(names).contains("the same name in torchvision"))
  }
}
