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
  @OptionGroup var labeling: LabelsOption
  @Option(help: "Images of 'folder' that cannot be decoded: fail (end the run) or skip (leave them out). Default: fail.")
  var damaged: DamagedImages?

  func validate() throws { try requireSizes(["--image-size": imageSize], in: ModelConfiguration.imageSides) }
}

/// Options of the images of a run.
struct RunDataOptions: ParsableArguments {
  static let defaultDataset = DatasetKind.fashionMNIST

  @Option(
    help: "Data set: \(DatasetKind.names). Default: what --data holds, otherwise \(defaultDataset.rawValue).",
    completion: .datasets,
    transform: DatasetKind.init(named:))
  var dataset: DatasetKind?
  @Option(
    help: ArgumentHelp("Folder or file of the data set; for photographs also a zip or tar archive.", valueName: "path"),
    completion: .file())
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
  @Option(
    help: ArgumentHelp(
      """
      Begin with small images, whose shorter side has this many pixels, and let them grow from epoch to epoch up to their size in \
      the last one. Validation always has whole images.
      """, valueName: "pixels"))
  var resizeFrom: Int?
  @Flag(inversion: .prefixedNo, exclusivity: .exclusive, help: "Shuffle the images anew in each epoch. Default: yes.")
  var shuffle: Bool?

  func validate() throws { try requirePaths(["--data": data]) }

  /// The data set that the options tell; nil if it shows only at the path.
  var known: DatasetKind? {
    dataset ?? (photographs.labeling.labels != nil ? .folder : data == nil ? Self.defaultDataset : nil)
  }

  /// Returns the data set that is named, or else that which the path holds, with a sentence on what was guessed.
  /// - Throws: ``Failure`` if the path does not exist, or nothing there tells a data set.
  func kind() throws -> (kind: DatasetKind, notice: String?) {
    guard known == nil, let data else { return (known ?? Self.defaultDataset, nil) }
    guard let guess = try DatasetKind.guess(at: data) else {
      throw Failure(
        .notFound, about: data, "nothing there tells what data set it is",
        remedy: "put a folder of images for each class there, or name it with \(Setting.dataset): \(DatasetKind.names)")
    }
    // The error for an empty place comes when the data set is opened.
    guard try ImageTree.exists(data) else { return (guess.kind, nil) }
    return (guess.kind, "\(data) is taken as \(guess.kind.rawValue), as it holds \(guess.evidence): --dataset says otherwise")
  }

  /// Returns the complaint about an option that does not apply to a data set; nil if all do.
  func complaint(about kind: DatasetKind) -> Message? {
    guard kind != .folder, let option = photographs.given.first else { return nil }
    return "\(option) is about photographs: it needs --dataset folder"
  }
}
