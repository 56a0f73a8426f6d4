import Models
import Testing

/// Checks that names of other programs are mapped to torchvision's.
@Suite struct TensorNamesTests {
  /// Returns the name of a tensor in transformers (`modeling_resnet.py`), without the prefix of the classifier.
  private static func transformers(_ name: String) -> String {
    let parts = name.split(separator: ".").map(String.init)
    func kind(_ part: String) -> String { part.hasPrefix("conv") ? "convolution" : "normalization" }
    if parts.count == 2 { return "embedder.embedder.\(kind(parts[0])).\(parts[1])" }
    let block = "encoder.stages.\((Int(parts[0].dropFirst(5)) ?? 0) - 1).layers.\(parts[1])."
    if parts[2] == "downsample" { return "\(block)shortcut.\(parts[3] == "0" ? "convolution" : "normalization").\(parts[4])" }
    return "\(block)layer.\((Int(parts[2].suffix(1)) ?? 0) - 1).\(kind(parts[2])).\(parts[3])"
  }

  @Test(arguments: ["resnet18", "resnet34", "resnet50", "resnet101"])
  func transformersNamesAreKnown(model: String) throws {
    let names = try ResNet(ModelConfiguration(name: model, classes: 3)).store.entries.map(\.name).filter { !$0.hasPrefix("fc.") }
    for name in names { #expect(TensorNames.torchvision(Self.transformers(name)) == name) }
    #expect(
      TensorNames.torchvision("encoder.stages.3.layers.1.layer.0.normalization.num_batches_tracked")
        == "layer4.1.bn1.num_batches_tracked")
    let foreign = Set(names.map { "module.resnet." + Self.transformers($0) })
    #expect(TensorNames.prefixes(in: foreign) == ["module.resnet."])
    #expect(TensorNames.prefixes(in: Set(names.map { "a." + $0 } + names.map { "b.c." + $0 } + names)) == ["", "a.", "b.c."])
  }

  @Test func otherNamesStayAsTheyAre() {
    for name in [
      "", ".", "encoder", "encoder.stages.x.layers.0.layer.0.convolution.weight",
      "encoder.stages.0.layers.0.layer.0.other.weight",
      "encoder.stages.9223372036854775807.layers.0.layer.0.convolution.weight", "embedder.embedder.other.weight", "fc.weight",
      "encoder.stages.0.layers.0.layer.9223372036854775807.convolution.weight", "layer1.0.conv1.weight",
      "layer1.0.downsample.0.weight",
    ] { #expect(TensorNames.torchvision(name) == name) }
    #expect(TensorNames.torchvision("layer2.0.shortcut.1.running_mean") == "layer2.0.downsample.1.running_mean")
  }
}
