import Compute
import Models
import Testing

/// A network is told by its tensors.
@Suite struct ModelInferenceTests {
  private func shapes(_ configuration: ModelConfiguration) throws -> [String: Shape] {
    let entries = try ResNet(configuration).store.entries
    return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.torchShape) })
  }

  @Test(arguments: [18, 34, 50, 101, 152])
  func imageNetsFamily(depth: Int) throws {
    let configuration = ModelConfiguration(name: "resnet\(depth)", classes: 21, channels: 4)
    #expect(ModelConfiguration.candidates(for: try shapes(configuration)) == [configuration])
  }

  @Test(arguments: [8, 20, 56, 110])
  func smallImagesFamily(depth: Int) throws {
    let projecting = ModelConfiguration(name: "resnet\(depth)", classes: 10, shortcut: .projection)
    #expect(ModelConfiguration.candidates(for: try shapes(projecting)) == [projecting])
    // Shortcuts without parameters, and none.
    let twins = ["resnet", "plain"].map { ModelConfiguration(name: "\($0)\(depth)", classes: 10) }
    for twin in twins { #expect(ModelConfiguration.candidates(for: try shapes(twin)) == twins) }
  }

  @Test func theTwinOfResNet18() throws {
    let plain = ModelConfiguration(name: "plain18", classes: 10)
    let padding = ModelConfiguration(name: "resnet18", classes: 10, shortcut: .padding)
    #expect(ModelConfiguration.candidates(for: try shapes(plain)) == [padding, plain])
  }

  @Test func otherTensors() throws {
    #expect(ModelConfiguration.candidates(for: [:]).isEmpty)
    #expect(ModelConfiguration.candidates(for: ["conv1.weight": [1], "fc.weight": [1]]).isEmpty)
    var shapes = try shapes(ModelConfiguration(name: "resnet50", classes: 10))
    shapes["layer3.6.conv1.weight"] = [1]
    #expect(ModelConfiguration.candidates(for: shapes).isEmpty, "no network has 53 layers")
  }
}
