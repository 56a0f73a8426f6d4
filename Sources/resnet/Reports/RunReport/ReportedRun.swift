import CPUBackend
import Compute
import Datasets
import Images
import Models
import ResNetKit
import Support
import Training

/// A run with all that its report shows. What is not there, or cannot be read, is left out, and a note says so.
struct ReportedRun {
  /// Name of the run among those of the report.
  let name: String
  let run: ReadRun
  let records: RunRecords
  let layers: [LayerRecord]
  /// Validation of the best epoch.
  let validation: ValidationRecord?
  /// Pictures of the validation's worst mistakes; nil for an image that cannot be shown.
  let mistakes: [RGBImage?]
  /// Training images as they are and as they are augmented.
  let augmented: Augmented?
  let summary: Summary?
  /// Sentences about what is left out.
  let notes: [String]

  /// Pictures of training images.
  struct Augmented {
    let image: RGBImage
    /// Number of columns with augmented images; 0 if the run does not augment images, which stand in one row then.
    let epochs: Int
  }

  /// Maximum number of steps that a curve has.
  private static let steps = 500
  /// Sides of a picture of a mistake, and width of the picture of augmented images, in pixels at most.
  private static let (mistakeSide, sheetWidth) = (128, 800)
  /// Samples and epochs of the augmented images.
  private static let (samples, epochs) = (4, 6)

  /// Reads a run.
  /// - Parameters:
  ///   - images: the run's images; nil to open them.
  ///   - data: path of the data set, if it is not where the run found it.
  /// - Throws: ``Failure`` if there is no run, or its settings or its figures are damaged.
  init(_ folder: RunFolder, named name: String, images: ImageSplits? = nil, data: String? = nil) throws {
    var notes: [String] = []
    func attempt<Result>(_ read: () throws -> Result?) -> Result? {
      do { return try read() } catch {
        notes.append((error as? Failure)?.line ?? "\(error)")
        return nil
      }
    }
    let run = try ReadRun(folder)
    let configuration = run.configuration
    (self.name, self.run) = (name, run)
    records = try folder.records(steps: Self.steps)
    layers = attempt { try folder.layers() } ?? []
    let validation = attempt { try folder.validation() }
    self.validation = validation
    let splits = attempt {
      do { return try images ?? Self.images(of: folder, configuration, at: data) } catch let failure as Failure {
        // The remedy is meant for a run that goes on.
        let reason = Failure(failure.kind, about: failure.subject, failure.problem)
        throw Failure(failure.kind, "There are no pictures of images: \(reason)")
      }
    }
    mistakes = attempt { try Self.pictures(of: validation?.evaluation.worst ?? [], splits?.validation) } ?? []
    augmented = splits.flatMap { splits in attempt { try Self.augmented(configuration, splits.train) } }
    let size = splits.map { Array($0.train.shape.dimensions.dropFirst()) } ?? configuration.photographs
    summary = size.flatMap { size in
      attempt {
        try Summary(configuration.model, images: Shape([configuration.batchSize] + size), configuration.trainingOptions)
      }
    }
    self.notes = notes + Self.earlier(run, hasLayers: !layers.isEmpty, hasValidation: validation != nil)
  }

  /// Sentences about the files that earlier versions did not write.
  private static func earlier(_ run: ReadRun, hasLayers: Bool, hasValidation: Bool) -> [String] {
    var notes: [String] = []
    if run.sessions.isEmpty {
      notes.append("The run does not say where and how long it trained (sessions.json): an earlier version made it.")
    }
    guard run.figures.epochs > 0 else { return notes + ["No epoch is finished yet, so the network was not validated."] }
    if !hasLayers { notes.append("There are no norms of gradients (layers.jsonl): an earlier version made the run.") }
    if !hasValidation {
      notes.append(
        "There are no confusions and no mistakes (validation.json): an earlier version made the run. `resnet evaluate "
          + "--checkpoint \(shellQuoted(run.folder.path)) --worst 24` measures its best weights, with a pass over the validation "
          + "images.")
    }
    return notes
  }

  /// Opens the images of a run.
  /// - Throws: ``Failure`` if they are not there, or are not those that the run was trained on.
  private static func images(of folder: RunFolder, _ run: RunConfiguration, at path: String?) throws -> ImageSplits {
    let splits = try TrainingSetup.resuming(folder, path: path, progress: Display.reading).splits
    if let known = run.data.contents {
      try SplitContents(splits, trainingOn: splits.train)?.require(known, in: path ?? run.data.path ?? run.data.name)
    }
    return splits
  }

  private static func pictures(of mistakes: [Mistake], _ images: (any ImageSource)?) throws -> [RGBImage?] {
    guard let images, !mistakes.isEmpty else { return [] }
    return try images.pictures(ofSamples: mistakes.map(\.sample)).map { $0?.bounded(mistakeSide, mistakeSide) }
  }

  private static func augmented(_ run: RunConfiguration, _ images: any ImageSource) throws -> Augmented? {
    guard run.augmentation != .none || run.randomCrop != nil else {
      let shown = images.prefix(2 * samples)
      let pictures = try shown.pictures(ofSamples: shown.items.map(\.sample)).compactMap { $0 }
      if pictures.isEmpty { return nil }
      return Augmented(image: PictureGrid(pictures, columns: pictures.count).image.bounded(sheetWidth, .max), epochs: 0)
    }
    let sheet = try ContactSheet(run, images, samples: samples, epochs: epochs, on: CPUBackend())
    return Augmented(image: sheet.image.bounded(sheetWidth, .max), epochs: sheet.epochs)
  }

  /// Number of steps of an epoch; nil if no epoch is finished.
  var stepsPerEpoch: Double? { records.epochs.first.map { Double($0.step) / Double(max(1, $0.epoch)) } }
}

extension RunConfiguration {
  /// Height, width and channels of the run's photographs; nil for other images.
  fileprivate var photographs: [Int]? { data.photographs.map { [$0.imageSize, $0.imageSize, model.channels] } }
}

extension RGBImage {
  /// Returns the image, made smaller if it is larger than this.
  fileprivate func bounded(_ width: Int, _ height: Int) -> RGBImage {
    let factor = min(1, Double(width) / Double(self.width), Double(height) / Double(self.height))
    if factor == 1 { return self }
    func scaled(_ side: Int) -> Int { max(1, Int((Double(side) * factor).rounded())) }
    return resized(height: scaled(self.height), width: scaled(self.width))
  }
}
