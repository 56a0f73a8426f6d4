import Compute
import DryRun
import Foundation
import Models
import NN
import Support
import Testing

@Suite struct ResNetTests {
  /// The counts for ImageNet are those of torchvision's documentation, including ResNeXt and wide networks. The counts for
  /// pre-activation are those of PyTorch models, which He et al. 2016 round to 1.7 and 10.2 million. The counts for CIFAR
  /// are for option A, which He et al. round to 0.27, 0.46, 0.66, 0.85, 1.7 and 19.4 million.
  @Test(arguments: [
    ("resnet18", 1000, 11_689_512), ("resnet34", 1000, 21_797_672), ("resnet50", 1000, 25_557_032),
    ("resnet101", 1000, 44_549_160), ("resnet152", 1000, 60_192_808), ("plain18", 1000, 11_515_688),
    ("resnet20", 10, 269_722), ("resnet32", 10, 464_154), ("resnet44", 10, 658_586), ("resnet56", 10, 853_018),
    ("resnet110", 10, 1_727_962), ("resnet1202", 10, 19_421_274), ("plain20", 10, 269_722), ("plain110", 10, 1_727_962),
    ("resnext50_32x4d", 1000, 25_028_904), ("resnext101_32x8d", 1000, 88_791_336), ("resnext101_64x4d", 1000, 83_455_272),
    ("wide_resnet50_2", 1000, 68_883_240), ("wide_resnet101_2", 1000, 126_886_696),
    ("preresnet110", 10, 1_730_522), ("preresnet164", 10, 1_703_258), ("preresnet1001", 10, 10_327_706),
  ])
  func parameterCounts(name: String, classes: Int, expected: Int) throws {
    #expect(try ResNet(ModelConfiguration(name: name, classes: classes)).store.parameterCount == expected)
  }

  @Test func optionsChangeParameterCounts() throws {
    func count(_ configuration: ModelConfiguration) throws -> Int { try ResNet(configuration).store.parameterCount }
    #expect(try count(ModelConfiguration(name: "resnet20", classes: 10, shortcut: .projection)) == 272_474)
    // Every block has a projection: 16·16 (3), 16·32, 32·32 (2), 32·64 and 64·64 (2) weights, with two vectors each.
    #expect(
      try count(ModelConfiguration(name: "resnet20", classes: 10, shortcut: .projectionEverywhere))
        == 269_722 + 3 * 16 * 16 + 16 * 32 + 2 * 32 * 32 + 32 * 64 + 2 * 64 * 64 + 3 * 2 * (16 + 32 + 64))
    // Nineteen convolutions have a bias in the place of two vectors.
    #expect(
      try count(ModelConfiguration(name: "resnet20", classes: 10, normalization: .none)) == 269_722 - (7 * 16 + 6 * 32 + 6 * 64))
    #expect(try count(ModelConfiguration(name: "resnet20", classes: 10, channels: 1)) == 269_434)
    // There are three projections fewer: 64·128, 128·256 and 256·512 weights with two vectors each.
    #expect(
      try count(ModelConfiguration(name: "resnet18", classes: 1000, shortcut: .padding))
        == 11_689_512 - (64 * 128 + 128 * 256 + 256 * 512) - 2 * (128 + 256 + 512))
    #expect(
      try count(ModelConfiguration(name: "resnet50", classes: 1000, stridePlacement: .firstOneByOne)) == 25_557_032)
  }

  /// Checks names, order and shapes against the state dictionaries of PyTorch models.
  @Test func stateDictionariesAreTorchvisions() throws {
    let file = try #require(Bundle.module.url(forResource: "Fixtures/state_dictionaries", withExtension: "txt"))
    let models = try String(contentsOf: file, encoding: .utf8).split(separator: "= ").dropFirst()
    #expect(models.count == 5)
    for model in models {
      let lines = model.split(separator: "\n").map { $0.split(separator: " ") }
      let head = lines[0]
      let configuration = ModelConfiguration(
        name: String(head[0]), classes: try #require(Int(head[1])), channels: try #require(Int(head[2])),
        shortcut: ShortcutOption(rawValue: String(head[3])))
      let found = try ResNet(configuration).store.entries.map { "\($0.name) \($0.torchShape.dimensions)" }
      let expected = lines.dropFirst().map { "\($0[0]) \($0.dropFirst().compactMap { Int($0) })" }
      #expect(found == expected, "\(configuration.name)")
    }
  }

  @Test func unknownNamesGetTheNearest() throws {
    let typos = [("resnet57", "resnet56"), ("rsnet18", "resnet18"), ("plane20", "plain20"), ("ResNet-50", "resnet50")]
    for (name, nearest) in typos {
      let failure = #expect(throws: Failure.self) { try ResNet(ModelConfiguration(name: name, classes: 10)) }
      let text = try #require(failure).description
      #expect(text.hasPrefix("unknown model '\(name)'; the nearest is \(nearest); "))
      #expect(["resnetD", "preresnet164", "resnet18", "resnext50_32x4d", "wide_resnet101_2"].allSatisfy(text.contains))
      #expect(text.count < 300)
    }
    // No name is near: the message lists the known ones only.
    let far = #expect(throws: Failure.self) { try ResNet(ModelConfiguration(name: "efficientnet_b0", classes: 10)) }
    #expect(
      try #require(far).description.hasPrefix("unknown model 'efficientnet_b0'; known: resnet20 … 1202, plain20 … 110, "))
  }

  @Test func namesAreTakenExactly() throws {
    for name in ModelConfiguration.knownNames { _ = try ResNet(ModelConfiguration(name: name, classes: 10)) }
    for name in ["resnet8", "resnet14", "plain8", "resnet164", "preresnet8", "preresnet173"] {
      _ = try ResNet(ModelConfiguration(name: name, classes: 10))
    }
    for name in [
      "", "resnet", "resnet2", "resnet0", "resnet-4", "resnet21", "resnet020", "resnet20 ", "plain50", "plain152", "resnet+20",
      "resnet99999999999999999999", "resnet6008", "densenet121", "preresnet18", "preresnet171", "preresnet9011",
      "resnext50", "wide_resnet50",
    ] {
      #expect(throws: Failure.self, "\(name)") { try ResNet(ModelConfiguration(name: name, classes: 10)) }
    }
  }

  @Test func optionsWithoutAPlaceAreRefused() {
    for configuration in [
      ModelConfiguration(name: "resnet20", classes: 0), ModelConfiguration(name: "resnet20", classes: 10, channels: 0),
      ModelConfiguration(name: "plain20", classes: 10, shortcut: .padding),
      ModelConfiguration(name: "plain20", classes: 10, zeroInitLastBatchNorm: true),
      ModelConfiguration(name: "preresnet20", classes: 10, zeroInitLastBatchNorm: true),
      ModelConfiguration(name: "preresnet20", classes: 10, normalization: .none),
      ModelConfiguration(name: "resnet20", classes: 10, zeroInitLastBatchNorm: true, normalization: .none),
    ] {
      #expect(throws: Failure.self) { try ResNet(configuration) }
    }
  }

  @Test func unfitImagesAreRefused() throws {
    func run(_ name: String, _ images: Shape, _ mode: Pass.Mode) throws -> Shape {
      let model = try ResNet(ModelConfiguration(name: name, classes: 10))
      let backend = DryRunBackend()
      try model.store.allocate(on: backend)
      return try model(Variable(backend.tensor(images)), Pass(on: backend, mode: mode)).shape
    }
    #expect(throws: Failure.self) { try run("resnet20", [2, 32, 32, 1], .training) }
    #expect(throws: Failure.self) { try run("resnet20", [2, 32, 32], .training) }
    #expect(throws: Failure.self) { try run("resnet20", [0, 32, 32, 3], .inference) }
    #expect(throws: Failure.self) { try run("resnet20", [2, 0, 32, 3], .inference) }
    #expect(throws: Failure.self) { try run("resnet18", [1, 32, 32, 3], .training) }
    #expect(throws: Failure.self) { try run("resnet20", [1, 4, 4, 3], .training) }
    // One more pixel, one more image, or inference makes them fit.
    #expect(try run("resnet18", [1, 33, 32, 3], .training) == [1, 10])
    #expect(try run("resnet20", [1, 4, 5, 3], .training) == [1, 10])
    #expect(try run("resnet20", [2, 1, 1, 3], .training) == [2, 10])
    #expect(try run("resnet50", [1, 1, 1, 3], .inference) == [1, 10])
    #expect(try run("resnet50", [2, 33, 97, 3], .training) == [2, 10])
  }

  @Test func zeroInitMakesBlocksIdentities() throws {
    func scales(_ name: String) throws -> [String] {
      let model = try ResNet(ModelConfiguration(name: name, classes: 10, zeroInitLastBatchNorm: true))
      return model.store.entries.filter { $0.name.hasSuffix("weight") && $0.initializer == .constant(0) }.map(\.name)
    }
    #expect(try scales("resnet8") == (1...3).map { "layer\($0).0.bn2.weight" })
    #expect(try scales("resnet50").count == 16)
    #expect(try scales("resnet50").allSatisfy { $0.hasSuffix(".bn3.weight") })
  }

  @Test func configurationSurvivesItsFile() throws {
    let configuration = ModelConfiguration(
      name: "resnet50", classes: 7, channels: 1, shortcut: .projection, stridePlacement: .firstOneByOne,
      zeroInitLastBatchNorm: true)
    let data = try JSONEncoder().encode(configuration)
    #expect(try JSONDecoder().decode(ModelConfiguration.self, from: data) == configuration)
    let text = String(decoding: data, as: UTF8.self)
    #expect(text.contains("\"shortcut\":\"B\"") && !text.contains("normalization"))
    let bare = ModelConfiguration(name: "resnet8", classes: 2, shortcut: .projectionEverywhere, normalization: .none)
    #expect(try JSONDecoder().decode(ModelConfiguration.self, from: JSONEncoder().encode(bare)) == bare)
  }
}
