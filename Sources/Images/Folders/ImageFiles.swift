import Support

/// Search for image files that are named one by one, by their folders or by archives.
public enum ImageFiles {
  /// Finds the named files, the images in and below the named folders, and those in the named archives, in the order of the
  /// arguments. Images of a folder come in the order of ``ImageFolder``, those of an ``ImageArchive`` likewise. Another file that
  /// is named itself is taken whatever it is called; its format is determined when it is decoded.
  /// - Returns: the images; and the files in folders and archives that are not named like images.
  /// - Throws: a ``Failure`` that names a path that is missing, cannot be read, or is a folder or an archive without images.
  public static func find(_ paths: [String]) throws -> (images: [ImagePlace], ignored: [String]) {
    var ignored: [String] = []
    let images = try paths.flatMap { path in
      let tree = try ImageTree(path)
      guard tree.exists else { throw Failure(.notFound, about: path, "there is no such file or folder") }
      if let file = tree.file { return [file] }
      var files: [String] = []
      try tree.walk(tree.root, &files)
      let images = files.filter(ImageTree.isCalledImage)
      guard !images.isEmpty else {
        throw Failure(
          .notFound, about: path, "no images in it (looked for .\(ImageFolder.extensions.joined(separator: ", .")))")
      }
      ignored += files.filter { !ImageTree.isCalledImage($0) }
      return images.map(tree.place)
    }
    return (images, ignored)
  }
}
