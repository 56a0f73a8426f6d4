import ArgumentParser
import Datasets
import Images
import Support

/// Options of the images that `evaluate` and `landscape` measure on.
struct MeasuredDataOptions: ParsableArguments {
  @Option(
    help: "Data set. Default: the one that the checkpoint was trained on.", completion: .datasets,
    transform: DatasetKind.init(named:))
  var dataset: DatasetKind?

  @Option(
    help: ArgumentHelp("Folder or file of the data set; for photographs also a zip or tar archive.", valueName: "path"),
    completion: .file())
  var data: String?

  @OptionGroup var labeling: LabelsOption

  @Option(
    help: """
      Part of the data set to measure on: train, val or test. Default: val, or else test; of a landscape train. MNIST and CIFAR \
      have test images alone, which are those to validate on, too.
      """)
  var split: ImageFolderPart?

  @OptionGroup var images: ImageOptions

  @Option(
    help: ArgumentHelp(
      """
      Order in which folders whose names are numbers correspond to the outputs of a network without class names: text \
      (0, 1, 10, 2), as torchvision's ImageFolder does, or number (0, 1, 2, 10). Default: text.
      """, visibility: .hidden))
  var classOrder: ClassOrder?

  @Option(help: "Images of 'folder' that cannot be decoded: fail (end with an error) or skip (leave them out). Default: fail.")
  var damaged: DamagedImages?

  @Option(help: "Batch size.")
  var batchSize = 128

  func validate() throws {
    try requirePaths(["--data": data])
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }

  /// Options that were given and are about photographs only.
  var aboutPhotographs: [String] {
    [("--image-size", images.imageSize != nil), ("--damaged", damaged != nil), ("--class-order", classOrder != nil)]
      .filter(\.1).map(\.0) + images.resizing.given + images.normalization.given + labeling.given
  }
}

/// Options of what `evaluate` prints and writes.
struct EvaluationOutputOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "CSV file for the confusion matrix: a row for each true class, a column for each predicted class.",
      valueName: "file.csv"),
    completion: .file(extensions: ["csv"]))
  var confusion: String?

  @Option(
    help: ArgumentHelp(
      """
      Name this many of the mistakes that the network is most sure of. Default: none; with --worst-sheet \(Self.usualWorst).
      """, valueName: "images"))
  var worst: Int?

  @Option(
    help: ArgumentHelp("PNG file for the pictures of these mistakes, in their order, eight a row.", valueName: "file.png"),
    completion: .file(extensions: ["png"]))
  var worstSheet: String?

  @Flag(help: "Print JSON.")
  var json = false

  private static let (usualWorst, mostWorst) = (24, 1000)

  /// Number of mistakes to name.
  var worstCount: Int { worst ?? (worstSheet == nil ? 0 : Self.usualWorst) }

  func validate() throws {
    try requirePaths(["--confusion": confusion, "--worst-sheet": worstSheet])
    if let worst, !(1...Self.mostWorst).contains(worst) {
      throw ValidationError("--worst \(worst): from 1 to \(grouped(Self.mostWorst)) mistakes can be named")
    }
    if let worstSheet, !worstSheet.lowercased().hasSuffix(".png") {
      throw ValidationError("--worst-sheet '\(worstSheet)': it is a PNG, and its name ends in .png")
    }
  }
}
