import ArgumentParser
import Compute
import Formats
import Models
import ResNetKit
import Support

struct SummaryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "summary", abstract: "Show a model's layers, parameters, work and peak memory without running it.",
    usage: "resnet summary [options] <model>",
    discussion: examples(
      "resnet summary resnet50", "resnet summary resnet50 --batch-size 64 --precision bf16 --recompute",
      "resnet summary resnet20 --image-size 28 --channels 1 --json"))

  @Argument(help: "Model, for example resnet20, plain56 or resnet50.", completion: .models)
  var model: String

  @OptionGroup(title: HelpGroup.data) var input: InputOptions
  @OptionGroup(title: HelpGroup.model) var modelOptions: ModelOptions
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var execution: ExecutionOptions

  @Option(help: "Number of classes. Default: 1000 for the ImageNet family, 10 for other models.")
  var classes: Int?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    try modelOptions.validate(model)
    try execution.precision.validate(device)
    try requireSizes(["--classes": classes], in: ModelConfiguration.classCounts)
  }

  func run() throws {
    let usual = try ModelConfiguration.usualInput(of: model)
    let images = try input.images(for: model, defaultBatch: 1)
    let configuration = modelOptions.configuration(model, classes: classes ?? usual.classes, channels: images[3])
    let summary = try Summary(
      configuration, images: images,
      TrainingOptions(recompute: execution.recompute, precision: execution.precision.precision ?? .fp32, guardsSteps: true),
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
