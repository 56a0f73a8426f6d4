import ArgumentParser
import Models

extension ShortcutOption: ExpressibleByArgument {}
extension StridePlacement: ExpressibleByArgument {}
extension BlockNormalization: ExpressibleByArgument {}

/// Help of the option `--recompute`, for every command that trains.
enum RecomputeOption {
  static let help: ArgumentHelp =
    "Activation checkpointing (recompute in the backward pass): under half the memory in deep networks, about a third more time."
}

/// Options for the blocks of a model of a given name, whose weights may be there already.
struct BlockOptions: ParsableArguments {
  @Option(
    help: """
      Shortcuts: where the shape changes, A pads with zeros and B projects; C projects in every block. Default: A for small \
      images, B for the ImageNet family and with pre-activation.
      """)
  var shortcut: ShortcutOption?

  @Option(
    help: ArgumentHelp(
      "Convolution with the stride of a bottleneck: v1 (first 1×1, as in the paper) or v1.5 (3×3, as in torchvision).",
      visibility: .hidden))
  var stride: StridePlacement?

  @Option(help: "Normalization after each convolution: batch, or none (a bias instead). Default: batch.")
  var norm: BlockNormalization?

  /// Checks the name of a model and the options.
  /// - Throws: a usage error for an unknown name, and for options that the network has no place for.
  func validate(_ name: String) throws {
    try usage { _ = try ResNet(configuration(name, classes: 1, channels: 1)) }
  }

  /// Makes the configuration of a model.
  /// - Parameter known: configuration that applies where no option is given, if it is of the same network.
  func configuration(
    _ name: String, classes: Int, channels: Int, like known: ModelConfiguration? = nil, zeroInit: Bool = false
  ) -> ModelConfiguration {
    let known = known?.name == name ? known : nil
    return ModelConfiguration(
      name: name, classes: classes, channels: channels, shortcut: shortcut ?? known?.shortcut,
      stridePlacement: stride ?? known?.stridePlacement ?? .threeByThree, zeroInitLastBatchNorm: zeroInit,
      normalization: norm ?? known?.normalization ?? .batch)
  }
}

/// Options for the way in which a model of a given name is built.
struct ModelOptions: ParsableArguments {
  @OptionGroup var blocks: BlockOptions

  @Flag(help: ArgumentHelp("Initialize the last batch norm scale of each block to zero.", visibility: .hidden))
  var zeroInit = false

  /// Checks the name of a model and the options.
  /// - Throws: a usage error for an unknown name, and for options that the network has no place for.
  func validate(_ name: String) throws {
    try usage { _ = try ResNet(configuration(name, classes: 1, channels: 1)) }
  }

  /// Makes the configuration of a model.
  /// - Parameter known: configuration that applies where no option is given, if it is of the same network.
  func configuration(_ name: String, classes: Int, channels: Int, like known: ModelConfiguration? = nil) -> ModelConfiguration {
    blocks.configuration(name, classes: classes, channels: channels, like: known, zeroInit: zeroInit)
  }
}
