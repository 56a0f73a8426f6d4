import Support

/// Search for image files that are named one by one or by their folders.
public enum ImageFiles {
  /// Finds the named files, and the images in and below the named folders, in the order of the arguments. Images of a folder
  /// come in the order of ``ImageFolder``. A file that is named itself is taken whatever it is called; its format is
  /// determined when it is decoded.
  /// - Returns: the image files; and the files in the folders that are not named like images.
  /// - Throws: a ``Failure`` that names a path that is missing, cannot be read, or is a folder without images.
  public static func find(_ paths: [String]) throws -> (images: [ImagePlace], ignored: [String]) {
    var ignored: [String] = []
    let images = try paths.flatMap { path in
      guard InputFile.exists(path) else { throw Failure(.notFound, about: path, "there is no such file or folder") }
      guard InputFile.isFolder(path) else { return [ImagePlace(file: path)] }
      var files: [String] = []
      try ImageFolder.walk(path.last == "/" && path.count > 1 ? String(path.dropLast()) : path, &files)
      let images = files.filter(ImageFolder.isCalledImage)
      guard !images.isEmpty else {
        throw Failure(
          .notFound, about: path, "no images in it (looked for .\(ImageFolder.extensions.joined(separator: ", .")))")
      }
      ignored += files.filter { !ImageFolder.isCalledImage($0) }
      return images.map { ImagePlace(file: $0) }
    }
    return (images, ignored)
  }
}
