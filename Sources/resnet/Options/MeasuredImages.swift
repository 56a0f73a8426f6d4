import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import ResNetKit
import Support
import Training

/// Labeled images that a network is measured on.
struct MeasuredImages {
  let kind: DatasetKind
  /// Images labeled with the indices of the outputs, and prepared and normalized for the network.
  let images: any ImageSource
  /// Names of the outputs.
  let classes: [String]
  /// Description of the images for the user; nil if the data set says it.
  let source: String?
}

extension MeasuredDataOptions {
  /// Opens the images that the options name, or those of the checkpoint's own run.
  /// - Parameter usual: part of the data that is taken if the options name none; nil for the one that runs validate on.
  /// - Throws: ``Failure`` if they cannot be opened or do not fit the network; a usage error if nothing names a data set.
  func open(for checkpoint: Checkpoint, usual: ImageFolderPart? = nil) throws -> MeasuredImages {
    let part = split ?? usual
    let run = try ownRun(of: checkpoint.path, part)
    let known = try dataset ?? about(checkpoint.path) { try checkpoint.dataset.map(DatasetKind.init(named:)) }
    let labeled = labeling.labels == nil ? nil : DatasetKind.folder
    guard let kind = try known ?? labeled ?? data.flatMap({ try DatasetKind.guess(at: $0)?.kind }) else {
      throw usageError("\(checkpoint.path) does not name a data set: add --dataset")
    }
    if kind != .folder, let option = aboutPhotographs.first {
      throw usageError("\(option) is about photographs: it needs --dataset folder, not \(kind.rawValue)")
    }
    let settings = try run.map { try TrainingSetup.configuration(of: $0).data }
    let own = try run.flatMap { try ownImages(of: $0, part) }
    let path = settings?.path ?? data
    if kind == .folder {
      return try openFolder(path, labels: settings?.labels ?? labeling.labels, for: checkpoint, part, own)
    }
    let images: any ImageSource =
      if let own { own.images } else if let part { try kind.load(part, from: path) } else { try kind.load(from: path).validation }
    try checkpoint.check(images, at: path)
    let names = try checkpoint.names(from: self.images.classNames)
    if names != nil, images.namesClasses {
      throw usageError("--class-names: the data set '\(kind.rawValue)' names its classes itself: leave it out")
    }
    // A data set may have fewer classes than the network, or no names for them.
    let isNamed = images.namesClasses && images.classes.count == checkpoint.classes.count
    let description = part.map { "the \(grouped(images.count)) images of the \($0.adjective) part of \(kind.rawValue)" }
    return MeasuredImages(
      kind: kind, images: images, classes: isNamed ? images.classes : names ?? checkpoint.classes,
      source: own == nil ? description : own?.source)
  }

  /// Finds the run that the weights are from, if its own images are measured on: if the options name no others, or a part of
  /// the run's own data set, so that the part is the one that the run had.
  private func ownRun(of weights: String, _ part: ImageFolderPart?) throws -> RunFolder? {
    guard dataset == nil, labeling.labels == nil, let run = RunFolder(ofWeights: weights) else { return nil }
    guard let data else { return run }
    guard part != nil, let own = try run.configuration().data.path else { return nil }
    return InputFile.areSame(data, own) ? run : nil
  }

  /// Opens the images that a run trained or validated on, and describes them; nil for its test images, which it did not use.
  private func ownImages(
    of run: RunFolder, _ part: ImageFolderPart?
  ) throws -> (images: any ImageSource, source: String?)? {
    if part == .test { return nil }
    let own = try RunImages(run, part ?? .validation, damaged: damaged)
    // The usual test images of a data set that the system keeps need no words.
    let needsWords = part != nil || own.data.path != nil || own.data.validationShare != nil
    return (own.images, needsWords ? own.description : nil)
  }

  /// Opens the photographs of a folder, prepared and normalized for the network.
  /// - Parameters:
  ///   - part: part of the folder; nil for the usual one.
  ///   - own: images of a run with their description; nil for the part of the folder.
  private func openFolder(
    _ path: String?, labels: String?, for checkpoint: Checkpoint, _ part: ImageFolderPart?,
    _ own: (images: any ImageSource, source: String?)?
  ) throws -> MeasuredImages {
    if let own, let photographs = own.images as? PhotographDataset {
      let images = try prepare(photographs, for: checkpoint, at: path)
      return MeasuredImages(kind: .folder, images: images, classes: images.classes, source: own.source)
    }
    let (photographs, measured) = try DatasetKind.openMeasuredFolder(
      path, labels: labels, imageSize: images.imageSize ?? checkpoint.imageSize.height,
      normalization: checkpoint.channels == 1 ? .imageNetGray : .imageNet, damaged: damaged ?? .fail, part: part,
      progress: Display.reading)
    let prepared = try prepare(photographs, for: checkpoint, at: path)
    let isSeen = measured.mayHaveBeenTrainedOn && checkpoint.dataset == DatasetKind.folder.rawValue
    let warning = isSeen ? "; a run that was trained on this folder has seen most of them" : ""
    return MeasuredImages(
      kind: .folder, images: prepared, classes: prepared.classes, source: measured.description + warning)
  }

  /// Labels photographs with the indices of the outputs, and prepares and normalizes them for the network.
  /// - Parameter path: path of the folder, for messages.
  private func prepare(
    _ photographs: PhotographDataset, for checkpoint: Checkpoint, at path: String?
  ) throws -> PhotographDataset {
    reportIgnored(photographs)
    try checkpoint.check(photographs, at: path)
    let names = try checkpoint.names(from: images.classNames)
    let labeled = try checkpoint.labeled(
      photographs, at: path ?? labeling.labels ?? photographs.name, names: names, order: classOrder)
    let known = try images.normalization.normalization(for: checkpoint)
    return try labeled.prepared(
      try checkpoint.preparation(size: images.imageSize, images.resizing.recipe), normalization: known)
  }
}
