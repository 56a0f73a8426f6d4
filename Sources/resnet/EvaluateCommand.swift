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

  @Option(help: "Whether images of 'folder' that cannot be decoded end it or are left out: fail or skip.")
  var damaged = DamagedImages.fail

  @Option(help: "Images at once.")
  var batchSize = 128

  @OptionGroup var precision: PrecisionOption

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try tuning.validate(device)
    try precision.validate(device)
    try requirePaths(["--data": data])
    try requireSizes(["--image-size": imageSize], in: 1...RunConfiguration.largestImage)
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }

  func run() throws {
    Signals.catchAll()
    let checkpoint = try checkpoint.read()
    guard let dataset = try dataset ?? about(checkpoint.path, { try checkpoint.dataset.map(DatasetKind.init(named:)) }) else {
      throw usageError("\(checkpoint.path) does not name a data set: add --dataset")
    }
    let side = imageSize ?? checkpoint.imageSize.height
    let validation = try dataset.open(from: data, imageSize: side, damaged: damaged).validation
    try checkpoint.check(validation, at: data)
    let images = try batches(of: validation, for: checkpoint)
    let (precision, size) = (precision.precision ?? .fp32, images.viewShape)
    let classifier = try checkpoint.classifier(
      on: device, tuning, images: [batchSize, size.height, size.width, size.channels], precision: precision)
    let evaluation = try classifier.evaluate(
      images, dataset == .folder ? checkpoint.normalization ?? validation.normalization : validation.normalization,
      precision: precision, progress: { _ in Signals.pending == nil }, onDamage: { printError("left out: \($0)") })
    guard let evaluation else { throw Signals.exitCode }
    guard evaluation.metrics.loss.isFinite else {
      throw Failure("\(checkpoint.path): the loss is not a number, so the weights or the images are far out of range")
    }
    let metrics = evaluation.metrics
    if json {
      printJSON(
        .members([
          "images": .integer(metrics.images), "loss": .number(metrics.loss), "top1": .number(metrics.top1),
          "top5": .number(metrics.top5),
        ]))
    } else {
      print(
        "\(metrics.images) images: loss \(fixed(metrics.loss, 4)), top-1 \(fixed(metrics.top1 * 100, 2)) %, "
          + "top-5 \(fixed(metrics.top5 * 100, 2)) %")
    }
  }

  private func batches(of images: any LabelledImages, for checkpoint: Checkpoint) throws -> any ImageBatches {
    switch images {
    case let dataset as Dataset:
      return try StoredImages(
        dataset.images, labels: dataset.labels.elements(), batchSize: batchSize, cropSize: checkpoint.imageSize)
    case let photographs as PhotographDataset:
      return try DecodedImages(
        photographs.items, .centre(.usual(crop: photographs.imageSize)), channels: 3, batchSize: batchSize,
        damaged: photographs.damaged)
    default: throw Failure("the data set '\(images.name)' is of a kind that cannot be measured on: \(type(of: images))")
    }
  }
}
