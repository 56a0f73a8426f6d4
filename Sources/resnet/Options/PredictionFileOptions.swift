import ArgumentParser
import Images
import Support

/// Options of `predict` for files that are made of the predictions.
struct PredictionFileOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "CSV file to write: a row for each image with its path and its classes, the most probable first.", valueName: "file.csv"),
    completion: .file(extensions: ["csv"]))
  var csv: String?

  @Option(
    help: ArgumentHelp(
      "Folder to sort the images into: a folder for each predicted class, with links to the images. Nothing is overwritten.",
      valueName: "folder"), completion: .directory)
  var sortInto: String?

  @Flag(help: "With --sort-into: copy the images instead of linking to them.")
  var copy = false

  @Option(
    help: ArgumentHelp(
      "With --sort-into: what is less probable than this goes to the folder unsure. Default: no limit.", valueName: "probability")
  )
  var above: Double?

  func validate() throws {
    try requirePaths(["--csv": csv, "--sort-into": sortInto])
    if csv == "-" { throw ValidationError("--csv -: a file is needed; --json prints the predictions") }
    if sortInto == nil, let option = given.first(where: { $0 != "--csv" }) {
      throw ValidationError("\(option) is about sorting images: it needs --sort-into")
    }
    if let above, !(above >= 0 && above <= 1) {
      throw ValidationError("--above \(above): a probability is from 0 to 1")
    }
  }

  /// Whether predictions go to files, so that only a summary is printed.
  var areGiven: Bool { csv != nil || sortInto != nil }

  /// Makes what sorts the images; nil without `--sort-into`.
  /// - Parameters:
  ///   - images: images that will be sorted.
  ///   - arguments: files and folders as the user named them.
  /// - Throws: ``Failure`` if the folder cannot be made; a usage error if it holds some of the images.
  func sorter(of images: [ImagePlace], in arguments: [String], classes: [String]) throws -> ImageSorter? {
    guard let folder = sortInto else { return nil }
    if !copy, let image = images.first(where: { $0.file == nil }) {
      throw usageError("\(image.path) is no file that a link could lead to: add --copy")
    }
    try requireOutside("--sort-into", folder, of: arguments)
    return try ImageSorter(into: folder, classes: classes, above: above, copies: copy)
  }
}
