import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import Models
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure a checkpoint on a data set's test images.")

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
    if let confusion { try requireOther("--confusion", confusion, than: [checkpoint.checkpoint, data]) }
    let checkpoint = try checkpoint.read()
    guard let dataset = try dataset ?? about(checkpoint.path, { try checkpoint.dataset.map(DatasetKind.init(named:)) }) else {
      throw usageError("\(checkpoint.path) does not name a data set: add --dataset")
    }
    let aboutPhotographs =
      imageSize != nil ? "--image-size" : damaged != nil ? "--damaged" : resizing.given ?? normalization.given
    if dataset != .folder, let option = aboutPhotographs {
      throw usageError("\(option) is about photographs: it needs --dataset folder, not \(dataset.rawValue)")
    }
    let side = imageSize ?? checkpoint.imageSize.height
    var validation = try dataset.open(from: data, imageSize: side, damaged: damaged ?? .fail).validation
    reportIgnored(validation)
    try checkpoint.check(validation, at: data)
    if let photographs = validation as? PhotographDataset { validation = try checkpoint.labelled(photographs, at: data) }
    let known =
      validation is PhotographDataset ? try normalization.normalization(for: checkpoint) : validation.normalization
    let images = try batches(of: validation, for: checkpoint)
    let (precision, size) = (precision.precision ?? .fp32, images.viewShape)
    if let confusion { try Evaluation.requireWritable(classes: checkpoint.classes.count, to: confusion) }
    let classifier = try checkpoint.classifier(
      on: device, tuning, images: [min(batchSize, validation.count), size.height, size.width, size.channels], precision: precision
    )
    let leftOut = LeftOutImages()
    let evaluation = try classifier.evaluate(
      images, known, precision: precision, progress: { _ in Signals.pending == nil },
      onDamage: leftOut.add)
    guard var evaluation else { throw Signals.exitCode }
    guard evaluation.metrics.loss.isFinite else {
      throw Failure("\(checkpoint.path): the loss is not a number, so the weights or the images are far out of range")
    }
    // Foreign networks number their classes only.
    if validation.classes.count == evaluation.classes.count { evaluation.classes = validation.classes }
    if json { printJSON(evaluation.json(damaged: leftOut.count)) } else { print(evaluation.text) }
    leftOut.finish()
    if let confusion { try evaluation.writeConfusion(to: confusion) }
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
