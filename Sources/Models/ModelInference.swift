import Compute

extension ModelConfiguration {
  /// The networks that have exactly these tensors. Two where there are no projections: a residual network with shortcuts A and its
  /// plain twin have the same. Where a bottleneck's stride is, the tensors do not tell: it is taken to be where torchvision has it.
  /// - Parameter shapes: by torchvision's names, in its layouts; `num_batches_tracked` is ignored.
  public static func candidates(for shapes: [String: Shape]) -> [ModelConfiguration] {
    guard let stem = shapes["conv1.weight"], stem.rank == 4, let head = shapes["fc.weight"], head.rank == 2 else { return [] }
    let shapes = shapes.filter { !$0.key.hasSuffix("num_batches_tracked") }
    // Layers are the convolutions but for those of shortcuts, and the linear one.
    let depth = shapes.keys.count { $0.split(separator: ".").suffix(2).first?.hasPrefix("conv") ?? false } + 1
    let names = ["resnet", "plain", "preresnet"].map { "\($0)\(depth)" } + knownNames.filter { $0.contains("_") }
    return names.compactMap { name in
      [nil, .padding, .projection].map { ModelConfiguration(name: name, classes: head[0], channels: stem[1], shortcut: $0) }
        .first { $0.tensorShapes == shapes }
    }
  }

  /// Nil where there is no such network.
  private var tensorShapes: [String: Shape]? {
    // What is wrong with a network that might have been does not matter.
    guard let entries = try? ResNet(self).store.entries else { return nil }
    return Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.torchShape) })
  }
}
