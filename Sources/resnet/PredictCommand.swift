import ArgumentParser
import Compute
import Formats
import Models
import Training

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "predict", abstract: "Run a checkpoint's network on images.")

  @OptionGroup var device: DeviceOption

  @Option(help: ArgumentHelp("The weights, a safetensors file or a checkpoint of torch.save.", valueName: "file"))
  var checkpoint: String

  @OptionGroup(title: "Model") var options: WeightsOptions

  @Option(help: ArgumentHelp("A safetensors file with images [N,H,W,C] in float32, used as they are.", valueName: "file"))
  var tensors: String

  @Option(help: ArgumentHelp("The safetensors file that gets logits [N,classes] in float32.", valueName: "file"))
  var output: String

  @Option(help: "Images at once.")
  var batchSize = 128

  @OptionGroup var precision: PrecisionOption

  func validate() throws {
    try precision.validate(device)
    try requirePaths(["--checkpoint": checkpoint, "--tensors": tensors, "--output": output])
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }

  func run() throws {
    Signals.catchAll()
    let (weights, model) = try options.read(checkpoint)
    let images = try images(for: model.configuration)
    let precision = precision.precision ?? .fp32
    let batch = Shape([min(batchSize, images.shape[0])] + images.shape.dimensions.dropFirst())
    let backend = try device.backend(
      sharing: Sharing(configuration: model.configuration, images: batch, precision: precision, isTraining: false))
    try model.store.allocate(on: backend)
    try about(checkpoint) { try model.store.load(weights.tensors) }
    let logits = try model.logits(of: images, batchSize: batchSize, precision: precision) { _ in Signals.pending == nil }
    guard let logits else { throw Signals.exitCode }
    guard logits.isFinite else {
      throw Failure("\(checkpoint): logits are not finite numbers, so the weights or the images are far out of range")
    }
    try Safetensors.write([("logits", logits)], metadata: [:], to: output)
  }

  private func images(for model: ModelConfiguration) throws -> HostTensor {
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
