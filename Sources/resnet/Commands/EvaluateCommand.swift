import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import Models
import ResNetKit
import Support
import Training

extension ImageFolderPart: ExpressibleByArgument {}

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure a checkpoint on a data set's test images.",
    discussion: """
      If a folder of photographs contains the folders of the classes, all its images are measured on. If it contains folders \
      such as train and val instead, the images in val are used, or else those in test. Standard error says which. --split \
      takes another part.
      """)

  @OptionGroup var device: DeviceOption
  @OptionGroup var tuning: TuneOption
  @OptionGroup var checkpoint: CheckpointOptions

  @Option(help: "Data set. Default: the one that the checkpoint was trained on.", transform: DatasetKind.init(named:))
  var dataset: DatasetKind?

  @Option(help: ArgumentHelp("Folder or file of the data set.", valueName: "path"))
  var data: String?

  @Option(
    help: """
      Part of the data set to measure on: train, val or test. Default: val, or else test. MNIST and CIFAR have test images \
      alone, which are those to validate on, too.
      """)
  var split: ImageFolderPart?

  @Option(help: "Image height and width for 'folder'. Default: those of training, otherwise the usual size of the network.")
  var imageSize: Int?

  @OptionGroup var resizing: ResizeOptions

  @OptionGroup var normalization: NormalizationOptions

  @OptionGroup var classNames: ClassNamesOption

  @Option(
    help: """
      Order in which folders whose names are numbers correspond to the outputs of a network without class names: text \
      (0, 1, 10, 2), as torchvision's ImageFolder does, or number (0, 1, 2, 10). Default: text.
      """)
  var classOrder: ClassOrder?

  @Option(help: "Images of 'folder' that cannot be decoded: fail (end with an error) or skip (leave them out). Default: fail.")
  var damaged: DamagedImages?

  @Option(help: "Batch size.")
  var batchSize = 128

  @OptionGroup var augmentation: TestTimeAugmentationOption

  @OptionGroup var precision: PrecisionOption

  @Option(
    help: ArgumentHelp(
      "CSV file for the confusion matrix: a row for each true class, a column for each predicted class.",
      valueName: "file.csv"))
  var confusion: String?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try tuning.validate(device)
    try precision.validate(device)
    try requirePaths(["--data": data, "--confusion": confusion])
    try requireSizes(["--image-size": imageSize], in: ModelConfiguration.imageSides)
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }

  func run() throws {
    Signals.catchAll()
    if let confusion { try requireOther("--confusion", confusion, than: [checkpoint.checkpoint, data, classNames.classNames]) }
    let checkpoint = try checkpoint.read()
    guard let dataset = try dataset ?? about(checkpoint.path, { try checkpoint.dataset.map(DatasetKind.init(named:)) }) else {
      throw usageError("\(checkpoint.path) does not name a data set: add --dataset")
    }
    let (validation, classes, source) = try open(dataset, for: checkpoint)
    // Photographs have the size of the views already.
    let images = try ImageViews(validation, augmentation.tta, cropSize: dataset == .folder ? nil : checkpoint.imageSize)
    let precision = precision.precision ?? .fp32
    if let confusion { try Evaluation.requireWritable(classes: checkpoint.classes.count, to: confusion) }
    let classifier = try checkpoint.classifier(
      on: device.place(tuning.mode), images: images.shape(ofBatch: batchSize), precision: precision)
    if let source { printError("measuring on \(source)") }
    let leftOut = LeftOutImages()
    let loader = try BatchLoader(
      images, precision: precision, streams: true, on: classifier.backend, onDamage: leftOut.add)
    let evaluation = try classifier.evaluate(loader, batchSize: batchSize) { _ in Signals.pending == nil }
    guard var evaluation else { throw Signals.exitCode }
    guard evaluation.metrics.loss.isFinite else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "the loss is not a number, so the weights or the images are far out of range")
    }
    evaluation.classes = classes
    if json { printJSON(evaluation.json(damaged: leftOut.count)) } else { print(evaluation.text) }
    for note in evaluation.notes { printError(note) }
    leftOut.finish()
    if let confusion { try evaluation.writeConfusion(to: confusion) }
  }

  /// Opens the images to measure on, labeled with the indices of the outputs. Also returns the names of the outputs and, for a
  /// folder, a description of the images.
  private func open(
    _ dataset: DatasetKind, for checkpoint: Checkpoint
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    let aboutPhotographs =
      [("--image-size", imageSize != nil), ("--damaged", damaged != nil), ("--class-order", classOrder != nil)]
      .filter(\.1).map(\.0) + resizing.given + normalization.given
    if dataset != .folder, let option = aboutPhotographs.first {
      throw usageError("\(option) is about photographs: it needs --dataset folder, not \(dataset.rawValue)")
    }
    if dataset == .folder { return try openFolder(for: checkpoint) }
    let images = try split.map { try dataset.load($0, from: data) } ?? dataset.load(from: data).validation
    try checkpoint.check(images, at: data)
    let names = try checkpoint.names(from: classNames)
    if names != nil, images.namesClasses {
      throw usageError("--class-names: the data set '\(dataset.rawValue)' names its classes itself: leave it out")
    }
    // A data set may have fewer classes than the network, or no names for them.
    let isNamed = images.namesClasses && images.classes.count == checkpoint.classes.count
    return (
      images, isNamed ? images.classes : names ?? checkpoint.classes,
      split.map { "the \(grouped(images.count)) images of the \($0.adjective) part of \(dataset.rawValue)" }
    )
  }

  /// Opens the photographs of a folder, prepared and normalized for the network.
  private func openFolder(
    for checkpoint: Checkpoint
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    let (photographs, source) = try DatasetKind.openMeasuredFolder(
      data, imageSize: imageSize ?? checkpoint.imageSize.height,
      normalization: checkpoint.channels == 1 ? .imageNetGray : .imageNet, damaged: damaged ?? .fail, part: split)
    reportIgnored(photographs)
    try checkpoint.check(photographs, at: data)
    let names = try checkpoint.names(from: classNames)
    let labeled = try checkpoint.labeled(photographs, at: data ?? photographs.name, names: names, order: classOrder)
    let known = try normalization.normalization(for: checkpoint)
    let prepared = try labeled.prepared(
      try checkpoint.preparation(size: imageSize, resizing.recipe), normalization: known)
    let isSeen = source.mayHaveBeenTrainedOn && checkpoint.dataset == DatasetKind.folder.rawValue
    let warning = isSeen ? "; a run that was trained on this folder has seen most of them" : ""
    return (prepared, prepared.classes, source.description + warning)
  }
}
