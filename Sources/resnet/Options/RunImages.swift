import Datasets
import Images
import ResNetKit
import Support
import Training

/// Images that a run trained or validated on.
struct RunImages {
  /// The images.
  let images: any ImageSource
  /// Settings of the run's data set.
  let data: DataSettings
  /// Description for the user: `the validation images of runs/a`.
  let description: String

  /// Opens the images of a part.
  /// - Parameters:
  ///   - part: training or validation images, of which only those count that the run used.
  ///   - damaged: treatment of photographs that cannot be decoded; nil for that of the run.
  /// - Precondition: the part is not that for tests, which a run does not use.
  /// - Throws: ``Failure`` if the run or its images cannot be read.
  init(_ run: RunFolder, _ part: ImageFolderPart, damaged: DamagedImages? = nil) throws {
    precondition(part != .test, "[RunImages] a run has no test images")
    let prepared = try TrainingSetup.resuming(run, path: nil, damaged: damaged, progress: Display.reading)
    data = prepared.configuration.data
    let used = prepared.splits.limited(by: data)
    images = part == .validation ? used.validation : used.train
    description = "the \(part.adjective) images of \(run.path)"
  }

  /// Opens a part of the photographs of a run's data set.
  /// - Throws: a usage error if the weights are not of a run on photographs; ``Failure`` if its images cannot be read, or there
  ///   is no such part.
  static func photographs(
    _ part: ImageFolderPart, ofRunWith weights: String
  ) throws -> (images: PhotographDataset, description: String) {
    guard let run = RunFolder(ofWeights: weights) else {
      throw usageError("--split: \(weights) is not in the folder of a run, so its images are not known: name images")
    }
    let data = try TrainingSetup.configuration(of: run).data
    guard let settings = data.photographs else {
      throw usageError(
        "--split: \(run.path) has a data set that is no image files: resnet evaluate --split measures on its parts")
    }
    if part == .test {
      let (images, source) = try DatasetKind.openMeasuredFolder(
        data.path, labels: data.labels, imageSize: settings.imageSize, part: part, progress: Display.reading)
      return (images, source.description)
    }
    let own = try RunImages(run, part)
    guard let photographs = own.images as? PhotographDataset else {
      preconditionFailure("[RunImages] photographs of another type")
    }
    return (photographs, own.description)
  }
}
