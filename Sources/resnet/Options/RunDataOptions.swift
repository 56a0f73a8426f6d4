import ArgumentParser
import Datasets
import Images
import Models
import Support

extension DatasetKind {
  /// Names of all data sets, for help texts.
  static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

extension DamagedImages: ExpressibleByArgument {}

/// Options about photographs, which come in all sizes.
struct PhotographOptions: ParsableArguments {
  @Option(help: "Image height and width for 'folder'. Default: 224 for the ImageNet family, 32 for other models.")
  var imageSize: Int?
  @OptionGroup var resizing: ResizeOptions
  @Option(help: "Images of 'folder' that cannot be decoded: fail (end the run) or skip (leave them out). Default: fail.")
  var damaged: DamagedImages?

  func validate() throws { try requireSizes(["--image-size": imageSize], in: ModelConfiguration.imageSides) }
}

/// Options of the images of a run.
struct RunDataOptions: ParsableArguments {
  static let defaultDataset = DatasetKind.fashionMNIST

  @Option(
    help: "Data set: \(DatasetKind.names). Default: \(defaultDataset.rawValue).", completion: .datasets,
    transform: DatasetKind.init(named:))
  var dataset: DatasetKind?
  @Option(help: ArgumentHelp("Folder or file of the data set.", valueName: "path"), completion: .file())
  var data: String?
  @OptionGroup var photographs: PhotographOptions
  @Option(
    help: ArgumentHelp(
      "Train on only this many images: the first ones, or for 'folder' the first of each class in turns.", valueName: "images"))
  var limitTrain: Int?
  @Option(
    help: ArgumentHelp("Validate on only this many images, taken as by --limit-train. Default: all.", valueName: "images"))
  var limitValidation: Int?
  @Option(
    help: ArgumentHelp(
      "Set this share of the training images of each class apart to validate on, chosen by the seed. Default: a tenth if there "
        + "are no other images to validate on.", valueName: "share"))
  var validationShare: Double?
  @Flag(inversion: .prefixedNo, exclusivity: .exclusive, help: "Shuffle the images anew in each epoch. Default: yes.")
  var shuffle: Bool?

  func validate() throws { try requirePaths(["--data": data]) }

  /// Checks that options about photographs are given for photographs only.
  /// - Throws: a usage error if an option does not apply to the run's data set.
  func requirePhotographs() throws {
    if dataset != .folder, let option = photographs.given.first {
      throw ValidationError("\(option) is about photographs: it needs --dataset folder")
    }
  }
}
