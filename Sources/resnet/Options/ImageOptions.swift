import ArgumentParser
import Models

/// Options of how image files become the network's input, and of the names of its classes.
struct ImageOptions: ParsableArguments {
  @Option(help: "Height and width of the network's input. Default: those of training, otherwise the usual size of the network.")
  var imageSize: Int?

  @OptionGroup var resizing: ResizeOptions

  @OptionGroup var normalization: NormalizationOptions

  @OptionGroup var classNames: ClassNamesOption

  func validate() throws { try requireSizes(["--image-size": imageSize], in: ModelConfiguration.imageSides) }
}
