import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import Models
import ResNetKit
import Support
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure a checkpoint on a data set's test images.",
    discussion: """
      If a folder of photographs contains the folders of the classes, all its images are measured on. If it contains folders \
      such as train and val instead, the images in val are used, or else those in test. Standard error says which.
      """)

  @OptionGroup var device: DeviceOption
  @OptionGroup var tuning: TuneOption
  @OptionGroup var checkpoint: CheckpointOptions

  @Option(help: "Data set. Default: the one that the checkpoint was trained on.", transform: DatasetKind.init(named:))
  var dataset: DatasetKind?

  @Option(help: ArgumentHelp("Folder or file of the data set.", valueName: "path"))
  var data: String?

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
    try requireSizes(["--image-size": imageSize], in: 1...RunConfiguration.largestImage)
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
    let known =
      validation is PhotographDataset ? try normalization.normalization(for: checkpoint) : validation.normalization
    let images = try batches(of: validation, for: checkpoint)
    let (precision, size) = (precision.precision ?? .fp32, images.viewShape)
    if let confusion { try Evaluation.requireWritable(classes: checkpoint.classes.count, to: confusion) }
    let classifier = try checkpoint.classifier(
      on: device.place(tuning.mode), images: [min(batchSize, validation.count), size.height, size.width, size.channels],
      precision: precision)
    if let source { printError("measuring on \(source)") }
    let leftOut = LeftOutImages()
    let evaluation = try classifier.evaluate(
      images, known, precision: precision, progress: { _ in Signals.pending == nil },
      onDamage: leftOut.add)
    guard var evaluation else { throw Signals.exitCode }
    guard evaluation.metrics.loss.isFinite else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "the loss is not a number, so the weights or the images are far out of range")
    }
    evaluation.classes = classes
    if json { printJSON(evaluation.json(damaged: leftOut.count)) } else { print(evaluation.text) }
    leftOut.finish()
    if let confusion { try evaluation.writeConfusion(to: confusion) }
  }

  /// Opens the images to measure on, labeled with the indices of the outputs. Also returns the names of the outputs and, for a
  /// folder, a description of the images.
  private func open(
    _ dataset: DatasetKind, for checkpoint: Checkpoint
  ) throws -> (images: any LabeledImages, classes: [String], source: String?) {
    let aboutPhotographs = [
      ("--image-size", imageSize != nil), ("--damaged", damaged != nil), ("--class-order", classOrder != nil),
      (resizing.given ?? "", resizing.given != nil), (normalization.given ?? "", normalization.given != nil),
    ]
    if dataset != .folder, let option = aboutPhotographs.first(where: \.1) {
      throw usageError("\(option.0) is about photographs: it needs --dataset folder, not \(dataset.rawValue)")
    }
    let (images, source) = try dataset.openForMeasuring(
      from: data, imageSize: imageSize ?? checkpoint.imageSize.height, damaged: damaged ?? .fail)
    reportIgnored(images)
    try checkpoint.check(images, at: data)
    let names = try checkpoint.names(from: classNames)
    if let photographs = images as? PhotographDataset, let source {
      let labeled = try checkpoint.labeled(photographs, at: data ?? photographs.name, names: names, order: classOrder)
      let isSeen = source.mayHaveBeenTrainedOn && checkpoint.dataset == DatasetKind.folder.rawValue
      let warning = isSeen ? "; a run that was trained on this folder has seen most of them" : ""
      return (labeled, labeled.classes, source.description + warning)
    }
    if names != nil, images.namesClasses {
      throw usageError("--class-names: the data set '\(dataset.rawValue)' names its classes itself: leave it out")
    }
    // A data set may have fewer classes than the network, or no names for them.
    let isNamed = images.namesClasses && images.classes.count == checkpoint.classes.count
    return (images, isNamed ? images.classes : names ?? checkpoint.classes, nil)
  }

  private func batches(of images: any LabeledImages, for checkpoint: Checkpoint) throws -> any ImageBatches {
    switch images {
    case let dataset as Dataset:
      return try StoredImages(
        dataset.images, labels: dataset.labels.elements(), batchSize: batchSize, augmentation: augmentation.tta,
        cropSize: checkpoint.imageSize)
    case let photographs as PhotographDataset:
      return try DecodedImages(
        photographs.items, try checkpoint.preparation(size: imageSize, resizing.recipe),
        channels: checkpoint.channels == 1 ? 1 : 3, batchSize: batchSize, augmentation: augmentation.tta,
        damaged: photographs.damaged)
    default:
      throw Failure(
        .unsupported, "the data set '\(images.name)' is of a kind that cannot be measured on: \(type(of: images))")
    }
  }
}
