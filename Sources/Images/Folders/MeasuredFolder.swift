import Support

/// Images of a folder on which a network is measured.
public struct MeasuredFolder: Sendable, Hashable {
  /// Folder that holds the images, with its classes.
  public let folder: ImageFolder
  /// Description of the images for the user: `all 30 images of flowers/val`.
  public let description: String
  /// Whether a run that was trained on the same path may have been trained on some of these images.
  public let mayHaveBeenTrainedOn: Bool

  /// Takes one part of a data set. Without validation images, the parts for training and validation are those into which
  /// ``ImageFolderSplits`` divides the images.
  /// - Parameters:
  ///   - path: path of the data set.
  ///   - part: part to take.
  ///   - labels: CSV file with the classes of images in the folder, and perhaps their splits; nil if their folders tell them.
  ///   - progress: called after each class or row of labels; nil for nothing.
  /// - Throws: a ``Failure`` that names a folder that is missing, or has no classes or images, or no such part.
  public init(
    _ path: String, _ part: ImageFolderPart, labels: String? = nil, progress: ReadingProgress? = nil
  ) throws {
    mayHaveBeenTrainedOn = part == .train
    if let labels {
      let file = try LabelFile(labels, imagesIn: path, progress: progress)
      if file.parts.isEmpty, part == .train {
        folder = try file.images(nil)
        description = "all \(folder.samples.count) images of \(labels)"
        return
      }
      guard file.parts.contains(part) else {
        throw Failure(
          .notFound, about: labels, "no row has the split of the \(part.adjective) part",
          remedy: "name the splits in a column, or leave \(Setting.split) out")
      }
      folder = try file.images(part)
      description = "the \(folder.samples.count) images of \(labels), its \(part.adjective) part"
      return
    }
    let layout = try ImageFolderLayout(path, progress: progress)
    let path = layout.path
    let isWhole = part != .train || layout.parts[.validation] != nil || layout.parts[.test] != nil
    if isWhole, let name = layout.parts[part] {
      folder = try layout.folder(name)
      description =
        "all \(folder.samples.count) images of \(folder.path), the \(part.adjective) part of \(path)"
        + layout.rest(besides: [part])
      return
    }
    let isDivided = part != .test && layout.parts.keys.allSatisfy { $0 == .train }
    guard isDivided else {
      let others = layout.parts.values.sorted().map(printable).joined(separator: ", ")
      throw Failure(
        .notFound, about: path,
        "no \(part.adjective) part in it" + (others.isEmpty ? "" : ", only \(others)"),
        remedy: "name the folder that holds the classes' folders, or another part (\(Setting.split))")
    }
    let splits = try ImageFolderSplits(path, progress: progress)
    folder = part == .train ? splits.train : splits.validation
    description =
      "\(folder.samples.count) images of \(folder.path), "
      + (part == .train ? "those of each class but the tenth" : "the tenth of each class")
      + " that training sets apart by default"
      + layout.rest(besides: [.train])
  }

  /// Takes all images of a folder that contains the classes' folders. From a folder with the parts of a data set, takes the
  /// validation part, or else the test part. From a folder with training images alone, takes the share of every class that
  /// ``ImageFolderSplits`` sets apart.
  /// - Parameters:
  ///   - labels: CSV file with the classes of images in the folder, and perhaps their parts; nil if their folders tell them.
  ///   - progress: called after each class or row of labels; nil for nothing.
  /// - Throws: a ``Failure`` that names a folder that is missing, or has no classes or images.
  public init(_ path: String, labels: String? = nil, progress: ReadingProgress? = nil) throws {
    if let labels {
      let file = try LabelFile(labels, imagesIn: path, progress: progress)
      (folder, description, mayHaveBeenTrainedOn) = try Self.images(of: file, path)
      return
    }
    let layout = try ImageFolderLayout(path, progress: progress)
    let place = layout.path
    let part = [ImageFolderPart.validation, .test].first { layout.parts[$0] != nil }
    if let part, let name = layout.parts[part] {
      folder = try layout.folder(name)
      let what = part == .validation ? "validation part of \(place)" : "test part of \(place), as none for validation is there"
      description = "all \(folder.samples.count) images of \(folder.path), the \(what)\(layout.rest(besides: [part]))"
      mayHaveBeenTrainedOn = false
    } else if layout.parts[.train] != nil {
      folder = try ImageFolderSplits(path, progress: progress).validation
      description =
        "\(folder.samples.count) images of \(folder.path), the tenth of each class that training sets apart"
        + layout.rest(besides: [.train])
      mayHaveBeenTrainedOn = false
    } else {
      folder = try layout.folder()
      description = "all \(folder.samples.count) images of \(place)"
      let name = place.split(separator: "/").last.map(String.init) ?? path
      let called = ImageFolderPart(calledLike: name)
      mayHaveBeenTrainedOn = called == nil || called == .train
    }
  }

  private static func images(
    of file: LabelFile, _ path: String
  ) throws -> (folder: ImageFolder, description: String, mayHaveBeenTrainedOn: Bool) {
    if file.parts == [.train] {
      let folder = try ImageFolderSplits(path, labels: file.path).validation
      let what = "the tenth of each class that training sets apart"
      return (folder, "\(folder.samples.count) images of \(file.path), \(what)", false)
    }
    let folder = try file.images(file.measuredPart)
    guard let part = file.measuredPart else {
      return (folder, "all \(folder.samples.count) images of \(file.path)", true)
    }
    let name = part == .test ? "test" : "validation"
    return (folder, "the \(folder.samples.count) images of \(file.path) whose split is \(name)", false)
  }
}
