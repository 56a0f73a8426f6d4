import Formats
import Images
import Support

/// Recognition of a data set by the files that are there.
extension DatasetKind {
  /// A guess at what a file or folder holds.
  public struct Guess: Hashable, Sendable {
    /// The data set.
    public let kind: DatasetKind
    /// Description for a message of what was found that tells it, for example `a folder of images for each class`.
    public let evidence: String
  }

  /// Guesses which data set a file or folder holds.
  /// - Returns: nil for a folder without anything that tells a data set.
  /// - Throws: ``Failure`` if the path does not exist, or is a file of another kind.
  public static func guess(at path: String) throws -> Guess? {
    guard InputFile.isFolder(path) else {
      if ImageTree.isPhotographic(path) { return Guess(kind: .folder, evidence: "an archive of photographs") }
      guard try FileKind(of: try InputFile(path)) == .safetensors else {
        throw Failure(
          .unsupported, about: path, "this file is no data set that is known",
          remedy: "give a folder, or a safetensors file with images and labels")
      }
      return Guess(kind: .tensors, evidence: "a safetensors file")
    }
    if let labels = MNIST.trainingLabels(in: path) {
      let kind = try MNIST.kind(ofLabels: labels)
      return Guess(kind: kind, evidence: "MNIST's IDX files\(kind == .fashionMNIST ? " with the labels of Fashion-MNIST" : "")")
    }
    if let kind = CIFAR.kind(in: path) { return Guess(kind: kind, evidence: "the files of its binary version") }
    return ImageTree.isPhotographic(path) ? Guess(kind: .folder, evidence: "a folder of images for each class") : nil
  }
}
