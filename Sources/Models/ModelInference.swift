import Compute

extension ModelConfiguration {
  /// Returns the networks that have exactly these tensors. There are two if there are no projections, because a residual network
  /// with shortcuts A and its plain counterpart have the same tensors. The tensors do not tell which convolution of a bottleneck
  /// carries the stride; torchvision's placement is assumed.
  /// - Parameters:
  ///   - shapes: shapes by torchvision's names, in its layouts; `num_batches_tracked` is ignored.
  ///   - ignoringHead: whether the last layer may differ or be missing; the networks then have one class.
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
      shortcuts.map {
        ModelConfiguration(
          name: name, classes: classes, channels: stem[1], shortcut: $0, normalization: normalization(of: shapes))
      }
      .first { compared($0.tensorShapes) == wanted }
    }
  }

  /// Types of shortcuts to try, the default first.
  private static let shortcuts = [nil] + ShortcutOption.allCases

  /// Returns the normalization that the tensors tell: convolutions have a bias if there is none.
  private static func normalization(of shapes: [String: Shape]) -> BlockNormalization {
    shapes["conv1.bias"] != nil && shapes["bn1.weight"] == nil ? .none : .batch
  }

  private static func namesOfDepth(of shapes: [String: Shape]) -> [String] {
    // The layers that count are the linear layer and the convolutions, except those of shortcuts.
    let depth =
      shapes.keys.count { $0.hasSuffix(".weight") && $0.split(separator: ".").suffix(2).first?.hasPrefix("conv") ?? false } + 1
    return ["resnet", "plain", "preresnet"].map { "\($0)\(depth)" }
  }

  /// Searches the networks of the tensors' depth and those with a known name for the one whose tensors differ from these the
  /// least.
  /// - Returns: nil if not even half of the network's tensors are present with its shapes.
  public static func nearest(to shapes: [String: Shape]) -> ModelConfiguration? {
    func dimension(_ name: String, _ index: Int) -> Int? { shapes[name].flatMap { index < $0.rank ? $0[index] : nil } }
    let (classes, channels) = (dimension("fc.weight", 0) ?? dimension("fc.bias", 0) ?? 1, dimension("conv1.weight", 1) ?? 3)
    let shapes = shapes.filter { !$0.key.hasSuffix("num_batches_tracked") }
    var nearest: (configuration: ModelConfiguration, differing: Int)?
    for name in namesOfDepth(of: shapes) + knownNames {
      for shortcut in shortcuts {
        let configuration = ModelConfiguration(
          name: name, classes: classes, channels: channels, shortcut: shortcut, normalization: normalization(of: shapes))
        guard let wanted = configuration.tensorShapes else { continue }
        let found = wanted.count { shapes[$0.key] == $0.value }
        let differing = wanted.count + shapes.count - 2 * found
        if 2 * found >= wanted.count, differing < nearest?.differing ?? .max { nearest = (configuration, differing) }
      }
    }
    return nearest?.configuration
  }

  /// Shapes of the network's tensors by name; nil if there is no such network.
  private var tensorShapes: [String: Shape]? {
    // The reason why a candidate is not a network does not matter.
    guard let entries = try? ResNet(self).store.entries else { return nil }
    return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.torchShape) })
  }
}
