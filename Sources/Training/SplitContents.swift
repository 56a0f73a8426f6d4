import Compute
import Datasets
import Support

/// Fingerprints of a run's images, which tell whether the images have changed since, and the numbers of images of the classes.
public struct SplitContents: Hashable, Codable, Sendable {
  /// Fingerprints of the training images and of the validation images.
  public var train, validation: DatasetContents
  /// Number of the images of each class, by its name, that the run trains on; nil in runs from before it was kept.
  public var classCounts: [String: Int]?

  /// Takes the fingerprints of both splits; nil if a split has none.
  /// - Parameter trained: images that are trained on, all or some of the split.
  package init?(_ splits: ImageSplits, trainingOn trained: any ImageSource) {
    guard let train = splits.train.contents, let validation = splits.validation.contents else { return nil }
    (self.train, self.validation) = (train, validation)
    let classes = trained.classes
    var counts = Dictionary(classes.map { ($0, 0) }) { first, _ in first }
    // Labels that are none of the classes are reported later.
    for item in trained.items where classes.indices.contains(Int(item.label)) {
      counts[classes[Int(item.label)], default: 0] += 1
    }
    classCounts = counts
  }

  /// Checks that these are the images that the run began with.
  /// - Throws: ``Failure`` if they are not.
  package func require(_ known: SplitContents, in data: String) throws {
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
