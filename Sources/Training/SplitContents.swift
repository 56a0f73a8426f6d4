import Compute
import Datasets

/// What tells the images of a run from those of another time.
public struct SplitContents: Hashable, Codable, Sendable {
  /// To train on, and to measure on.
  public var train, validation: DatasetContents

  /// Takes the fingerprints of both; nil where images have none.
  init?(_ splits: LabelledSplits) {
    guard let train = splits.train.contents, let validation = splits.validation.contents else { return nil }
    (self.train, self.validation) = (train, validation)
  }

  /// - Throws: a ``Failure`` where these are not the images that the run began with.
  func require(_ known: SplitContents, in data: String) throws {
    for (what, old, new) in [("train", known.train, train), ("measure", known.validation, validation)] where old != new {
      let change =
        old.count == new.count
        ? "some of the \(new.count) images to \(what) on have other names or labels, or are others"
        : "\(new.count) images to \(what) on, not \(old.count)"
      throw Failure("\(data) has changed since the run began: \(change); restore it, or begin a new run")
    }
  }
}
