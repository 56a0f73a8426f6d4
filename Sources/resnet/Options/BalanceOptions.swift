import ArgumentParser
import Support
import Training

extension RunConfiguration.Sampling: ExpressibleByArgument {}

/// Options for classes with uneven numbers of images.
struct BalanceOptions: ParsableArguments {
  /// Value of `--class-weights` that is no file.
  private static let balanced = "balanced"

  @Option(
    help: ArgumentHelp(
      """
      Weights of the classes in the training loss: \(balanced) (inversely as their numbers of images), or a file with lines \
      class,weight or with one weight a line in the order of the classes. Default: none.
      """, valueName: "\(balanced)|file"),
    completion: .file())
  var classWeights: String?
  @Option(help: "balanced: draw images from all classes with equal probability. Default: each image once in an epoch.")
  var sampling: RunConfiguration.Sampling?

  func validate() throws { try requirePaths(["--class-weights": classWeights]) }

  /// Returns the weights that the options ask for; nil for none.
  /// - Parameter classes: names of the classes.
  /// - Throws: ``Failure`` if the file cannot be read, or does not hold a weight for each class.
  func weights(of classes: [String]) throws -> ClassWeights? {
    guard let classWeights else { return nil }
    return classWeights == Self.balanced ? .balanced : try ClassWeights(contentsOf: classWeights, classes: classes)
  }
}
