import Compute
import Models
import Testing

/// Checks that a network is recognized by its tensors.
@Suite struct ModelInferenceTests {
  private func shapes(_ configuration: ModelConfiguration) throws -> [String: Shape] {
    let entries = try ResNet(configuration).store.entries
    return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.torchShape) })
  }

  @Test(arguments: ModelConfiguration.knownNames.filter { !$0.hasPrefix("plain") })
  func everyNetworkWithProjections(name: String) throws {
    let isUsual = try ModelConfiguration.usualInput(of: name).side == 224 || name.hasPrefix("pre")
    let configuration = ModelConfiguration(name: name, classes: 21, channels: 4, shortcut: isUsual ? nil : .projection)
    #expect(ModelConfiguration.candidates(for: try shapes(configuration)) == [configuration])
  }

  /// Networks with shortcuts without parameters, and networks without shortcuts, have the same tensors.
  @Test(arguments: [8, 20, 56, 110])
  func twinsHaveTheSameTensors(depth: Int) throws {
    let twins = ["resnet", "plain"].map { ModelConfiguration(name: "\($0)\(depth)", classes: 10) }
    for twin in twins { #expect(ModelConfiguration.candidates(for: try shapes(twin)) == twins) }
  }

  /// Options that the tensors tell.
  @Test(arguments: [
    ModelConfiguration(name: "resnet8", classes: 3, shortcut: .projectionEverywhere),
    ModelConfiguration(name: "resnet8", classes: 3, shortcut: .projection, normalization: .none),
    ModelConfiguration(name: "resnet50", classes: 3, normalization: .none),
  ])
  func networksWithOptions(_ network: ModelConfiguration) throws {
    #expect(ModelConfiguration.candidates(for: try shapes(network)) == [network])
    var changed = try shapes(network)
    changed["layer9.weight"] = [3]
    #expect(ModelConfiguration.nearest(to: changed) == network)
  }

  @Test func theTwinOfResNet18() throws {
    let plain = ModelConfiguration(name: "plain18", classes: 10)
    let padding = ModelConfiguration(name: "resnet18", classes: 10, shortcut: .padding)
    #expect(ModelConfiguration.candidates(for: try shapes(plain)) == [padding, plain])
  }

  /// Checks that the network is still recognized if a tensor is missing, added or of another shape.
  @Test func nearestNetworkIsFound() throws {
    for name in ["resnet50", "resnet8", "resnext50_32x4d", "preresnet110"] {
      let network = ModelConfiguration(name: name, classes: 7, channels: 1)
      let whole = try shapes(network)
      let changes: [(String, Shape?)] = [
        ("layer1.0.bn1.weight", nil), ("layer9.weight", [3]), ("fc.weight", [7, 9]), ("fc.bias", nil),
      ]
      for change in changes {
        var changed = whole
        changed[change.0] = change.1
        #expect(ModelConfiguration.candidates(for: changed).isEmpty)
        #expect(ModelConfiguration.nearest(to: changed) == network, "\(name) with \(change)")
      }
    }
    #expect(ModelConfiguration.nearest(to: [:]) == nil)
    #expect(ModelConfiguration.nearest(to: ["conv1.weight": [64, 3, 7, 7], "fc.weight": [1000, 2048]]) == nil)
  }

  @Test func otherTensors() throws {
    #expect(ModelConfiguration.candidates(for: [:]).isEmpty)
    #expect(ModelConfiguration.candidates(for: [:], ignoringHead: true).isEmpty)
    #expect(ModelConfiguration.candidates(for: ["conv1.weight": [1], "fc.weight": [1]]).isEmpty)
    let resnet50 = ModelConfiguration(name: "resnet50", classes: 10)
    var shapes = try shapes(resnet50)
    shapes["bn1.num_batches_tracked"] = []
    #expect(ModelConfiguration.candidates(for: shapes) == [resnet50])
    shapes["fc.bias"] = [11]
    #expect(ModelConfiguration.candidates(for: shapes).isEmpty)
    #expect(ModelConfiguration.candidates(for: ["conv1.weight": [1, 0, 3, 3], "fc.weight": [1 << 40, 1]]).isEmpty)
  }
}
