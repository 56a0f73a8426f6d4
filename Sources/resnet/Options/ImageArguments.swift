import ArgumentParser
import Images
import ResNetKit
import Support

/// Finds the images that arguments name, in their order, and reports files that are none. `-` is an image on standard input.
/// - Throws: ``Failure`` for a path that is missing, or a folder without images.
func findImages(_ arguments: [String]) throws -> [ImagePlace] {
  var (places, ignored) = ([ImagePlace](), [String]())
  for (index, argument) in arguments.enumerated() {
    defer { Display.reading(index + 1, arguments.count, argument) }
    if argument == "-" {
      places.append(ImagePlace(try StandardInput.read(atMost: ImageLimits().byteCount), named: "-"))
      continue
    }
    let found = try ImageFiles.find([argument])
    places += found.images
    ignored += found.ignored
  }
  reportIgnored(ignored)
  return places
}

/// Refuses a folder of results within a folder of images, where the results would be found as images.
/// - Throws: a usage error if the option's folder leads into one of the arguments.
func requireOutside(_ option: String, _ folder: String, of arguments: [String]) throws {
  if let input = arguments.first(where: { InputFile.isFolder($0) && InputFile.leads(folder, into: $0) }) {
    throw usageError("\(option) \(folder) lies in \(input), whose images are read: name a folder elsewhere")
  }
}

extension NormalizationOptions {
  /// Returns the normalization of image files for a network.
  /// - Throws: ``Failure`` for a network that image files do not fit, or whose normalization is not known.
  func normalization(ofFilesFor checkpoint: Checkpoint) throws -> Normalization {
    guard checkpoint.channels == 1 || checkpoint.channels == 3 else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "\(checkpoint.name) is built for images of \(checkpoint.channels) channels, image files have 1 or 3",
        remedy: "resnet predict --tensors runs it on tensors")
    }
    return try normalization(for: checkpoint)
  }
}
