/// Translation of other programs' tensor names of residual networks into torchvision's.
///
/// The known names are torchvision's, which timm also uses; those of Hugging Face's transformers (`modeling_resnet.py`); and
/// those that programs for CIFAR often use: `shortcut` for `downsample` and `linear` for `fc`.
public enum TensorNames {
  /// Names of tensors that every network has, in torchvision and in transformers.
  static let landmarks = [
    ["conv1.weight", "layer1.0.conv1.weight"],
    ["embedder.embedder.convolution.weight", "encoder.stages.0.layers.0.layer.0.convolution.weight"],
  ]

  /// Names of the last layer, including the dot; torchvision's comes first.
  public static let heads = ["fc.", "linear.", "classifier.1.", "classifier.", "head.fc.", "head."]

  /// Finds the prefix of each residual network among tensor names. The prefix is empty for a network without one.
  /// - Returns: each prefix once, sorted.
  public static func prefixes(in names: Set<String>) -> [String] {
    let found = landmarks.flatMap { landmark in
      names.lazy.filter { $0 == landmark[0] || $0.hasSuffix(".\(landmark[0])") }
        .map { String($0.dropLast(landmark[0].count)) }
        .filter { prefix in landmark.allSatisfy { names.contains(prefix + $0) } }
    }
    return Set(found).sorted()
  }

  /// Returns torchvision's name of a tensor, or the name itself if it is not one of another program's.
  /// - Parameter name: the name without the prefix that precedes all names.
  public static func torchvision(_ name: String) -> String {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    let kinds = ["convolution": "conv", "normalization": "bn"]
    switch parts.first {
    case "embedder" where parts.count == 4 && parts[1] == "embedder":
      return kinds[parts[2]].map { "\($0)1.\(parts[3])" } ?? name
    case "encoder" where parts.count >= 8 && parts[1] == "stages" && parts[3] == "layers":
      guard let stage = Int(parts[2]), (0..<1000).contains(stage), let kind = kinds[parts[parts.count - 2]], let last = parts.last
      else { return name }
      let block = "layer\(stage + 1).\(parts[4])"
      if parts.count == 8, parts[5] == "shortcut" { return "\(block).downsample.\(kind == "conv" ? 0 : 1).\(last)" }
      guard parts.count == 9, parts[5] == "layer", let number = Int(parts[6]), (0..<1000).contains(number) else { return name }
      return "\(block).\(kind)\(number + 1).\(last)"
    case let part? where part.hasPrefix("layer") && parts.count == 5 && parts[2] == "shortcut":
      return ([part, parts[1], "downsample"] + parts[3...]).joined(separator: ".")
    default: return name
    }
  }
}
