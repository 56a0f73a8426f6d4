import Datasets
import Images
import Support
import Training

extension Mistake {
  /// Name of the image for people: the path of its file, or else its number in the data set.
  var image: String { path.isEmpty ? "image \(sample)" : path }
}

/// Output of the worst mistakes of an evaluation.
extension Evaluation {
  /// Number of pictures in a row of a sheet.
  private static let picturesInRow = 8

  /// Table of the worst mistakes.
  var worstText: String {
    if worst.isEmpty { return "no image was taken for another class" }
    var table = Table(["image", "is", "taken for", "probability", "of the right class"])
    for mistake in worst {
      table.add([
        printable(mistake.image), printable(classes[mistake.label]), printable(classes[mistake.prediction]),
        percentText(mistake.probability, 2), percentText(mistake.labelProbability, 2),
      ])
    }
    return "worst mistakes, those that the network is most sure of:\n" + table.text
  }

  /// Returns a mistake as JSON. The path is null for an image that the data set knows by its number.
  func describe(_ mistake: Mistake) -> JSON {
    .members([
      "sample": .integer(mistake.sample), "path": mistake.path.isEmpty ? .null : .string(mistake.path),
      "class": .string(classes[mistake.label]), "predicted": .string(classes[mistake.prediction]),
      "probability": .number(mistake.probability), "class_probability": .number(mistake.labelProbability),
    ])
  }

  /// Writes the pictures of the worst mistakes, in their order, to one PNG.
  /// - Throws: ``Failure`` if the images cannot be read or the file cannot be written.
  func writeWorst(of images: any ImageSource, to path: String) throws {
    let pictures = try images.pictures(ofSamples: worst.map(\.sample)).compactMap { $0 }
    guard !pictures.isEmpty else {
      return printErrorNote("\(path) was not written, as no image was taken for another class")
    }
    try PictureGrid(pictures, columns: min(Self.picturesInRow, pictures.count)).image.writePNG(to: path)
  }
}
