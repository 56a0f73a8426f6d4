import ArgumentParser
import Compute
import Datasets
import Formats
import Models
import Training

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure a checkpoint on a data set's test images.")

  @OptionGroup var device: DeviceOption
  @OptionGroup(title: "Model") var modelOptions: ModelOptions

  @Option(help: ArgumentHelp("The weights, a safetensors file.", valueName: "file"))
  var checkpoint: String

  @Option(help: "The network, where the file does not say: weights from elsewhere.")
  var model: String?

  @Option(help: "The data set. Default: the one that the checkpoint was trained on.")
  var dataset: String?

  @Option(help: ArgumentHelp("The data set's folder or file.", valueName: "path"))
  var data: String?

  @Option(help: "Images at once.")
  var batchSize = 128

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }

  func run() throws {
    Signals.catchAll()
    let weights = try Weights(contentsOf: checkpoint)
    guard let datasetName = dataset ?? weights.description?.dataset else {
      throw ValidationError("\(checkpoint) does not name a data set: add --dataset")
    }
    let validation = try DatasetKind(named: datasetName).load(from: data).validation
    let model = try ResNet(try configuration(weights))
    try check(model.configuration, validation)
    let backend = try device.backend()
    try model.store.allocate(on: backend)
    do { try model.store.load(weights.tensors) } catch let failure as Failure { throw Failure("\(checkpoint): \(failure)") }
    let images = try DeviceDataset(validation, on: backend)
    guard let metrics = try model.evaluate(images, batchSize: batchSize, progress: { _ in Signals.pending == nil }) else {
      throw ExitCode(128 + (Signals.pending ?? 0))
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

  /// The checkpoint's own description, or the named model with sizes read off the weights.
  private func configuration(_ weights: Weights) throws -> ModelConfiguration {
    if let described = weights.description?.model, model == nil { return described }
    guard let model else { throw ValidationError("\(checkpoint) does not say which network it is for: add --model") }
    guard let stem = weights.tensors["conv1.weight"], stem.shape.rank == 4, let head = weights.tensors["fc.bias"] else {
      throw Failure("\(checkpoint) has no conv1.weight [K, C, R, S] and fc.bias: it is not a residual network's weights")
    }
    return modelOptions.configuration(model, classes: head.count, channels: stem.shape[1])
  }

  private func check(_ model: ModelConfiguration, _ dataset: Dataset) throws {
    if dataset.images.shape[3] != model.channels {
      throw Failure(
        "\(checkpoint) is for images of \(model.channels) channels, those of \(dataset.name) have \(dataset.images.shape[3])")
    }
    if dataset.classes.count > model.classes {
      throw Failure("\(checkpoint) knows \(model.classes) classes, \(dataset.name) has \(dataset.classes.count)")
    }
  }
}
