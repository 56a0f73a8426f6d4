import ArgumentParser

/// Options of runs that are known to train well. Each is a file in `Recipes/`, which is embedded in the program.
enum Recipe: String, CaseIterable, ExpressibleByArgument {
  /// The paper's run on CIFAR-10.
  case cifar
  /// Fashion-MNIST.
  case fashion
  /// Fashion-MNIST in little time.
  case fast
  /// ImageNet, or other large folders of photographs.
  case imagenet
  /// Trained weights for other photographs.
  case finetune

  /// The options as YAML.
  var text: String {
    let bytes =
      switch self {
      case .cifar: PackageResources.cifar_yaml
      case .fashion: PackageResources.fashion_yaml
      case .fast: PackageResources.fast_yaml
      case .imagenet: PackageResources.imagenet_yaml
      case .finetune: PackageResources.finetune_yaml
      }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Options that name other options of a run.
struct ConfigurationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "YAML file with options, by their long names without dashes; options of the command line count more.",
      valueName: "file.yaml"),
    completion: .file(extensions: ["yaml", "yml"]))
  var config: String?

  @Option(
    help: """
      Options that are known to train well: cifar, fashion, fast, imagenet or finetune; those of --config and the command \
      line count more.
      """
  )
  var recipe: Recipe?

  @Flag(help: "Instead of training, print all options of the run as YAML, for --config.")
  var printConfig = false

  func validate() throws { try requirePaths(["--config": config]) }
}
