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
  /// - Parameter isMoved: whether they are at another place, where their files may have other times.
  /// - Throws: ``Failure`` if they are not.
  package func require(
    _ known: SplitContents, in data: String, isMoved: Bool = true, remedy: Message = "restore it, or begin a new run"
  ) throws {
    for (use, old, new) in [("to train on", known.train, train), ("to measure on", known.validation, validation)] {
      guard let change = new.change(since: old, use, isMoved: isMoved) else { continue }
      throw Failure(.mismatch, "\(data) has changed since the run began: \(change)", remedy: remedy)
    }
  }
}

extension DataSettings {
  /// Takes the fingerprints of the images that are there.
  /// - Parameters:
  ///   - known: settings by which the run was saved; nil for those of now.
  ///   - isNew: whether the run begins.
  ///   - takingOthers: whether images that have changed are taken.
  /// - Throws: ``Failure`` if a run that goes on finds other images.
  mutating func take(
    _ found: SplitContents?, of known: DataSettings?, in folder: RunFolder?, isNew: Bool, takingOthers: Bool
  ) throws {
    if !isNew { contents = contents ?? known?.contents }
    if !isNew, !takingOthers, let contents {
      try found?.require(
        contents, in: path ?? folder?.path ?? "", isMoved: known.map { $0.path != path } ?? true,
        remedy: "restore it, begin a new run, or go on with the images as they are now by \(Setting.allowDataChange)")
    }
    // Images that were moved have other times from now on. Runs from before fingerprints were kept get none.
    if isNew || (contents != nil && found != nil) { contents = found }
  }
}
