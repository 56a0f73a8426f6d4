import Compute
import Formats

/// Image files that are named one by one or by their folders.
public enum ImageFiles {
  /// The files, and the images in and below the folders, in the order in which they are named; those of a folder as in
  /// ``ImageFolder``. What a file that is named itself holds is seen when it is decoded, whatever it is called.
  /// - Returns: the files; and those in the folders that are not called as images are.
  /// - Throws: a ``Failure`` that names what is missing, cannot be read, or is a folder without images.
  public static func find(_ paths: [String]) throws -> (images: [String], ignored: [String]) {
    var ignored: [String] = []
    let images = try paths.flatMap { path in
      guard InputFile.exists(path) else { throw Failure("\(path): there is no such file or folder") }
      guard InputFile.isFolder(path) else { return [path] }
      var files: [String] = []
      try ImageFolder.walk(path.last == "/" && path.count > 1 ? String(path.dropLast()) : path, &files)
      let images = files.filter(ImageFolder.isCalledImage)
      guard !images.isEmpty else {
        throw Failure("\(path): no images in it (looked for .\(ImageFolder.extensions.joined(separator: ", .")))")
      }
      ignored += files.filter { !ImageFolder.isCalledImage($0) }
      return images
    }
    return (images, ignored)
  }
}
