import ArgumentParser
import Compute
import Formats
import Models
import Training

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "predict", abstract: "Run a checkpoint's network on images.")

  @OptionGroup var device: DeviceOption

  @OptionGroup var checkpoint: CheckpointOptions

  @Option(help: ArgumentHelp("A safetensors file with images [N,H,W,C] in float32, used as they are.", valueName: "file"))
  var tensors: String

  @Option(help: ArgumentHelp("The safetensors file that gets logits [N,classes] in float32.", valueName: "file"))
  var output: String

  @Option(help: "Images at once.")
  var batchSize = 128

  @OptionGroup var precision: PrecisionOption

  func validate() throws {
    try precision.validate(device)
    try requirePaths(["--tensors": tensors, "--output": output])
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }

  func run() throws {
    Signals.catchAll()
    let checkpoint = try checkpoint.read()
    let images = try images(for: checkpoint)
    let precision = precision.precision ?? .fp32
    let batch = Shape([min(batchSize, images.shape[0])] + images.shape.dimensions.dropFirst())
    let classifier = try checkpoint.classifier(on: device, images: batch, precision: precision)
    let logits = try about(checkpoint.path) {
      try classifier.outputs(of: images, batchSize: batchSize, precision: precision) { _ in Signals.pending == nil }
    }
    guard let logits else { throw Signals.exitCode }
    try Safetensors.write([("logits", logits)], metadata: [:], to: output)
  }

  private func images(for model: Checkpoint) throws -> HostTensor {
    guard let images = try Safetensors.read(tensors).tensors["images"] else {
      throw Failure("\(tensors): there is no tensor images [N, H, W, C]")
    }
    guard images.shape.rank == 4, images.type == .float32 else {
      throw Failure("\(tensors): images are \(images.shape) of \(images.type), not [N, H, W, C] of float32")
    }
    guard !images.shape.dimensions.contains(0) else { throw Failure("\(tensors): images \(images.shape) are none") }
    guard images.shape[3] == model.channels else {
      throw Failure(
        "\(tensors): \(model.name) is built for images of \(model.channels) channels, these have \(images.shape[3])")
    }
    guard images.isFinite else { throw Failure("\(tensors): images have values that are not finite numbers") }
    return images
  }
}
