import ArgumentParser
import Compute
import Formats
import Models
import ResNetKit
import Support

struct SummaryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "summary", abstract: "Show a model's layers, parameters, work and peak memory without running it.")

  @OptionGroup var device: DeviceOption
  @OptionGroup(title: "Model") var modelOptions: ModelOptions

  @Argument(help: "Model, for example resnet20, plain56 or resnet50.")
  var model: String

  @OptionGroup(title: "Images") var input: InputOptions

  @Option(help: "Number of classes. Default: 1000 for the ImageNet family, 10 for other models.")
  var classes: Int?

  @OptionGroup var precision: PrecisionOption

  @Flag(help: RecomputeOption.help)
  var recompute = false

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try modelOptions.validate(model)
    try precision.validate(device)
    try requireSizes(["--classes": classes], in: ModelConfiguration.classCounts)
  }

  func run() throws {
    let usual = try ModelConfiguration.usualInput(of: model)
    let images = try input.images(for: model, defaultBatch: 1)
    let configuration = modelOptions.configuration(model, classes: classes ?? usual.classes, channels: images[3])
    let summary = try Summary(
      configuration, images: images, TrainingOptions(recompute: recompute, precision: precision.precision ?? .fp32),
      on: try device.place().open())
    json ? printJSON(describe(summary, batch: images[0])) : print(table(summary, batch: images[0]))
  }

  private func table(_ summary: Summary, batch: Int) -> String {
    var table = Table(["layer", "output", "parameters", "MACs", "activation"])
    for layer in summary.layers {
      table.add([
        layer.name, layer.output.description, grouped(layer.parameters), grouped(layer.macs), bytes(layer.activationBytes),
      ])
    }
    return table.text + "\n\n"
      + "\(model): \(grouped(summary.parameters)) parameters, \(grouped(summary.macs)) MACs forward, "
      + "\(grouped(summary.trainingMACs)) a training step\n"
      + "peak memory at batch \(batch): \(bytes(summary.training.peakBytesHeld)) in training, "
      + "\(bytes(summary.inference.peakBytesHeld)) in inference"
  }

  private func describe(_ summary: Summary, batch: Int) -> JSON {
    .members([
      "model": .string(model), "batch_size": .integer(batch), "parameters": .integer(summary.parameters),
      "macs": .integer(summary.macs), "training_macs": .integer(summary.trainingMACs),
      "peak_bytes": .integer(summary.training.peakBytesHeld), "inference_peak_bytes": .integer(summary.inference.peakBytesHeld),
      "layers": .array(
        summary.layers.map {
          .members([
            "name": .string($0.name), "output": .array($0.output.dimensions.map(JSON.integer)),
            "parameters": .integer($0.parameters), "macs": .integer($0.macs),
            "activation_bytes": .integer($0.activationBytes),
          ])
        }),
    ])
  }
}
