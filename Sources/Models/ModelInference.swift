import Compute

extension ModelConfiguration {
  /// The networks that have exactly these tensors. Two where there are no projections: a residual network with shortcuts A and its
  /// plain twin have the same. Where a bottleneck's stride is, the tensors do not tell: it is taken to be where torchvision has it.
  /// - Parameters:
  ///   - shapes: by torchvision's names, in its layouts; `num_batches_tracked` is ignored.
  ///   - ignoringHead: whether the last layer may be another or missing; the networks are then of one class.
  public static func candidates(for shapes: [String: Shape], ignoringHead: Bool = false) -> [ModelConfiguration] {
    guard let stem = shapes["conv1.weight"], stem.rank == 4 else { return [] }
    let head = shapes["\(ResNet.head).weight"]
    guard ignoringHead || head?.rank == 2 else { return [] }
    let classes = ignoringHead ? 1 : head?[0] ?? 1
    func compared(_ shapes: [String: Shape]?) -> [String: Shape]? {
      ignoringHead ? shapes?.filter { !$0.key.hasPrefix("\(ResNet.head).") } : shapes
    }
    let wanted = compared(shapes.filter { !$0.key.hasSuffix("num_batches_tracked") })
    let names = namesOfDepth(of: shapes) + knownNames.filter { $0.contains("_") }
    return names.compactMap { name in
      [nil, .padding, .projection].map { ModelConfiguration(name: name, classes: classes, channels: stem[1], shortcut: $0) }
        .first { compared($0.tensorShapes) == wanted }
    }
  }

  private static func namesOfDepth(of shapes: [String: Shape]) -> [String] {
    // Layers are the convolutions but for those of shortcuts, and the linear one.
    let depth = shapes.keys.count { $0.split(separator: ".").suffix(2).first?.hasPrefix("conv") ?? false } + 1
    return ["resnet", "plain", "preresnet"].map { "\($0)\(depth)" }
  }

  /// Of the networks of the tensors' depth and those with a known name the one whose tensors differ from these the least.
  /// - Returns: nil where not even half of its tensors are there, in its shapes.
  public static func nearest(to shapes: [String: Shape]) -> ModelConfiguration? {
    func dimension(_ name: String, _ index: Int) -> Int? { shapes[name].flatMap { index < $0.rank ? $0[index] : nil } }
    let (classes, channels) = (dimension("fc.weight", 0) ?? dimension("fc.bias", 0) ?? 1, dimension("conv1.weight", 1) ?? 3)
    let shapes = shapes.filter { !$0.key.hasSuffix("num_batches_tracked") }
    var nearest: (configuration: ModelConfiguration, differing: Int)?
    for name in namesOfDepth(of: shapes) + knownNames {
      for shortcut in [nil, ShortcutOption.padding, .projection] {
        let configuration = ModelConfiguration(name: name, classes: classes, channels: channels, shortcut: shortcut)
        guard let wanted = configuration.tensorShapes else { continue }
        let found = wanted.count { shapes[$0.key] == $0.value }
        let differing = wanted.count + shapes.count - 2 * found
        if 2 * found >= wanted.count, differing < nearest?.differing ?? .max { nearest = (configuration, differing) }
      }
    }
    return nearest?.configuration
  }

  /// Nil where there is no such network.
  private var tensorShapes: [String: Shape]? {
    // What is wrong with a network that might have been does not matter.
    guard let entries = try? ResNet(self).store.entries else { return nil }
    return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.torchShape) })
  }
}
