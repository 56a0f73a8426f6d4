import Compute

extension ModelConfiguration {
  /// The networks that tensors with torchvision's names may belong to, by the number of blocks, the stem and the shortcuts; whether
  /// every shape agrees is for the network to check. None where nothing known has such tensors. Two where there are no
  /// projections: a residual network with shortcuts A and its plain twin have the same tensors.
  /// - Parameter shapes: in torchvision's layouts.
  public static func candidates(for shapes: [String: Shape]) -> [ModelConfiguration] {
    guard let stem = shapes["conv1.weight"], stem.rank == 4, let head = shapes["fc.weight"], head.rank == 2 else { return [] }
    func blocks(_ stage: Int) -> Int { (0...).prefix { shapes["layer\(stage).\($0).conv1.weight"] != nil }.count }
    let convolutions = shapes["layer1.0.conv3.weight"] == nil ? 2 : 3
    let depth = 2 + (1...4).map(blocks).reduce(0, +) * convolutions
    let projects = shapes.keys.contains { $0.hasSuffix("downsample.0.weight") }
    let isImageNet = shapes["layer4.0.conv1.weight"] != nil
    return ["resnet", "plain"].compactMap { family in
      guard family == "resnet" || !projects, let architecture = try? Architecture(name: "\(family)\(depth)"),
        (architecture.stem == .imageNet) == isImageNet
      else { return nil }
      let shortcut: ShortcutOption? = family == "plain" || projects == isImageNet ? nil : projects ? .projection : .padding
      return ModelConfiguration(name: "\(family)\(depth)", classes: head[0], channels: stem[1], shortcut: shortcut)
    }
  }
}
