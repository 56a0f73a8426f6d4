import Compute
import Datasets
import Support

/// Fingerprints of a run's images, which tell whether the images have changed since.
public struct SplitContents: Hashable, Codable, Sendable {
  /// Fingerprints of the training images and of the validation images.
  public var train, validation: DatasetContents

  /// Takes the fingerprints of both splits; nil if a split has none.
  init?(_ splits: ImageSplits) {
    guard let train = splits.train.contents, let validation = splits.validation.contents else { return nil }
    (self.train, self.validation) = (train, validation)
  }

  /// Checks that these are the images that the run began with.
  /// - Throws: ``Failure`` if they are not.
  func require(_ known: SplitContents, in data: String) throws {
    for (what, old, new) in [("train", known.train, train), ("measure", known.validation, validation)] where old != new {
      let change =
        old.count == new.count
        ? "some of the \(new.count) images to \(what) on have other names or labels, or are others"
        : "\(new.count) images to \(what) on, not \(old.count)"
      throw Failure(
        .mismatch, "\(data) has changed since the run began: \(change); restore it, or begin a new run")
    }
  }
}
