import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import Models
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure a checkpoint on a data set's test images.",
    discussion: """
      Of a folder of photographs all images are measured on where the classes' folders are in it; where folders like train and val are, \
      those in val, or else in test. Standard error says which.
      """)

  @OptionGroup var device: DeviceOption
  @OptionGroup var tuning: TuneOption
  @OptionGroup var checkpoint: CheckpointOptions

  @Option(help: "Default: the data set that the checkpoint was trained on.", transform: DatasetKind.init(named:))
  var dataset: DatasetKind?

  @Option(help: ArgumentHelp("The data set's folder or file.", valueName: "path"))
  var data: String?

  @Option(help: "Height and width of the images of 'folder'. Default: those of training, else what is usual for the network.")
  var imageSize: Int?

  @OptionGroup var resizing: ResizeOptions

  @OptionGroup var normalization: NormalizationOptions

  @OptionGroup var classNames: ClassNamesOption

  @Option(
    help: """
      How folders called by numbers are the outputs of a network that does not name its classes: as text (0, 1, 10, 2), which \
      torchvision's ImageFolder does, or as number (0, 1, 2, 10). Default: text.
      """)
  var classOrder: ClassOrder?

  @Option(help: "Whether images of 'folder' that cannot be decoded end it or are left out: fail or skip. Default: fail.")
  var damaged: DamagedImages?

  @Option(help: "Images at once.")
  var batchSize = 128

  @OptionGroup var augmentation: TestTimeAugmentationOption

  @OptionGroup var precision: PrecisionOption

  @Option(
    help: ArgumentHelp(
      "A CSV file that gets the confusion matrix: a row for each true class, a column for each that images were taken for.",
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
      on: device, tuning, images: [min(batchSize, validation.count), size.height, size.width, size.channels], precision: precision
    )
    if let source { printError("measuring on \(source)") }
    let leftOut = LeftOutImages()
    let evaluation = try classifier.evaluate(
      images, known, precision: precision, progress: { _ in Signals.pending == nil },
      onDamage: leftOut.add)
    guard var evaluation else { throw Signals.exitCode }
    guard evaluation.metrics.loss.isFinite else {
      throw Failure("\(checkpoint.path): the loss is not a number, so the weights or the images are far out of range")
    }
    evaluation.classes = classes
    if json { printJSON(evaluation.json(damaged: leftOut.count)) } else { print(evaluation.text) }
    leftOut.finish()
    if let confusion { try evaluation.writeConfusion(to: confusion) }
  }

  /// The images to measure on, labelled by the outputs' numbers; what the outputs are called; and of a folder which images these are.
  private func open(
    _ dataset: DatasetKind, for checkpoint: Checkpoint
  ) throws -> (images: any LabelledImages, classes: [String], source: String?) {
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
      let labelled = try checkpoint.labelled(photographs, at: data ?? photographs.name, names: names, order: classOrder)
      let isSeen = source.mayHaveBeenTrainedOn && checkpoint.dataset == DatasetKind.folder.rawValue
      let warning = isSeen ? "; a run that was trained on this folder has seen most of them" : ""
      return (labelled, labelled.classes, source.description + warning)
    }
    if names != nil, images.namesClasses {
      throw usageError("--class-names: the data set '\(dataset.rawValue)' names its classes itself: leave it out")
    }
    // A data set may have fewer classes than the network, or no names for them.
    let isNamed = images.namesClasses && images.classes.count == checkpoint.classes.count
    return (images, isNamed ? images.classes : names ?? checkpoint.classes, nil)
  }

  private func batches(of images: any LabelledImages, for checkpoint: Checkpoint) throws -> any ImageBatches {
    switch images {
    case let dataset as Dataset:
      return try StoredImages(
        dataset.images, labels: dataset.labels.elements(), batchSize: batchSize, augmentation: augmentation.tta,
        cropSize: checkpoint.imageSize)
    case let photographs as PhotographDataset:
      return try DecodedImages(
        photographs.items, try checkpoint.preparation(size: imageSize, resizing), channels: checkpoint.channels == 1 ? 1 : 3,
        batchSize: batchSize, augmentation: augmentation.tta, damaged: photographs.damaged)
    default: throw Failure("the data set '\(images.name)' is of a kind that cannot be measured on: \(type(of: images))")
    }
  }
}
