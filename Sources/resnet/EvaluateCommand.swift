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
  @Option(help: ArgumentHelp("The weights, a safetensors file or a checkpoint of torch.save.", valueName: "file"))
  var checkpoint: String

  @OptionGroup(title: "Model") var options: WeightsOptions

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
    try requirePaths(["--checkpoint": checkpoint, "--data": data])
    try requireSizes(["--image-size": imageSize], in: 1...RunConfiguration.largestImage)
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }

  func run() throws {
    Signals.catchAll()
    let (weights, model) = try options.read(checkpoint)
    guard let dataset = try dataset ?? about(checkpoint, { try weights.description?.dataset.map(DatasetKind.init(named:)) })
    else {
      throw usageError("\(checkpoint) does not name a data set: add --dataset")
    }
    let trained = weights.description.flatMap { $0.dataset == DatasetKind.folder.rawValue ? $0.imageSize?.first : nil }
    let usual = try ModelConfiguration.usualInput(of: model.configuration.name).side
    let validation = try dataset.open(from: data, imageSize: imageSize ?? trained ?? usual, damaged: damaged).validation
    reportIgnored(validation)
    try about(checkpoint) { try model.configuration.check(validation) }
    if dataset == .folder, let trained = weights.description, trained.dataset == dataset.rawValue,
      trained.classes != validation.classes
    {
      // Labels are numbers in the order of the names, so other names would be measured against the wrong ones.
      let difference = Set(trained.classes).symmetricDifference(validation.classes).sorted().prefix(3).joined(separator: ", ")
      throw Failure(
        "\(checkpoint) was trained on other classes than the folders of \(data ?? validation.name): only one of them has "
          + "\(difference); every class needs its folder, and there may be no other")
    }
    let size = validation.shape
    let precision = precision.precision ?? .fp32
    let batch: Shape = [batchSize, size[1], size[2], size[3]]
    let sharing = Sharing(configuration: model.configuration, images: batch, precision: precision, isTraining: false)
    let backend = try tuning.backend(device, sharing: sharing) {
      try convolutions(of: model.configuration, images: batch, precision: precision, training: false)
    }
    if Signals.pending != nil { throw Signals.exitCode }
    try model.store.allocate(on: backend)
    try about(checkpoint) { try model.store.load(weights.tensors) }
    let images = try batchSource(
      of: validation, precision: precision, on: backend, onDamage: { printError("left out: \($0)") })
    guard let metrics = try model.evaluate(images, batchSize: batchSize, progress: { _ in Signals.pending == nil }) else {
      throw Signals.exitCode
    }
    guard metrics.loss.isFinite else {
      throw Failure("\(checkpoint): the loss is not a number, so the weights or the images are far out of range")
    }
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
}
