import ArgumentParser
import Models

extension ShortcutOption: ExpressibleByArgument {}
extension StridePlacement: ExpressibleByArgument {}

/// `--recompute`, of every command that trains.
enum RecomputeOption {
  static let help: ArgumentHelp =
    "Compute activations again in the backward pass instead of keeping them: less than half the memory in deep networks, about a third more time."
}

/// The options that say how a model of a given name is built.
struct ModelOptions: ParsableArguments {
  @Option(
    help: "Shortcuts where the shape changes: A pads with zeros, B projects. Default: A for small images, B for ImageNet's.")
  var shortcut: ShortcutOption?

  @Option(help: "Bottleneck stride on the first 1×1 (v1, the paper) or on the 3×3 (v1.5, torchvision).")
  var stride: StridePlacement?

  @Flag(help: "Start the last batch norm scale of each block at zero.")
  var zeroInit = false

  /// The names of the options that were given.
  var given: [String] {
    [("--shortcut", shortcut != nil), ("--stride", stride != nil), ("--zero-init", zeroInit)].filter(\.1).map(\.0)
  }

  /// - Throws: a usage error for an unknown name, and for options that the network has no place for.
  func validate(_ name: String) throws {
    try usage { _ = try ResNet(configuration(name, classes: 1, channels: 1)) }
  }

  /// - Parameter known: what decides where no option does, if the network is the same.
  func configuration(_ name: String, classes: Int, channels: Int, like known: ModelConfiguration? = nil) -> ModelConfiguration {
    let known = known?.name == name ? known : nil
    return ModelConfiguration(
      name: name, classes: classes, channels: channels, shortcut: shortcut ?? known?.shortcut,
      stridePlacement: stride ?? known?.stridePlacement ?? .threeByThree, zeroInitLastBatchNorm: zeroInit)
  }
}
