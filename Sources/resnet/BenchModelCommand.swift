import ArgumentParser
import Compute
import Formats
import Models
import NN
import OpenCLBackend

struct BenchModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model", abstract: "Measure a model's throughput in training and inference on random images.")

  @OptionGroup var device: DeviceOption
  @OptionGroup var tuning: TuneOption
  @OptionGroup(title: "Model") var modelOptions: ModelOptions

  @Argument(help: "For example resnet20 or resnet50.")
  var model: String

  @Option(help: "Images a step.")
  var batchSize = 128

  @Option(help: "Height and width. Default: 224 for the ImageNet family, 32 for the other.")
  var imageSize: Int?

  @Option(help: "Channels of the images.")
  var channels = 3

  @Option(help: "Steps that are timed; their median counts. Two more come first.")
  var steps = 7

  @Flag(help: "Print JSON.")
  var json = false

  @Flag(help: "Print what each kernel took in training, longest first.")
  var profile = false

  func validate() throws {
    try tuning.validate(device)
    try modelOptions.validate(model)
    try requireSizes(["--batch-size": batchSize, "--image-size": imageSize, "--steps": steps], in: 1...1 << 20)
    try requireSizes(["--channels": channels], in: ModelConfiguration.channelCounts)
    if profile && device.isReference { throw ValidationError("--profile needs an OpenCL device, not --device \(device.device)") }
  }

  func run() throws {
    let usual = try ModelConfiguration.usualInput(of: model)
    let side = imageSize ?? usual.side
    let configuration = modelOptions.configuration(model, classes: usual.classes, channels: channels)
    let shape: Shape = [batchSize, side, side, channels]
    if tuning.tune != nil { Signals.catchAll() }
    let backend = try tuning.backend(device, profiling: profile) { try convolutions(of: configuration, images: shape) }
    if Signals.pending != nil { throw Signals.exitCode }
    try Summary(configuration, images: shape, on: backend).requireMemoryForTraining(on: backend)
    let model = try ResNet(configuration)
    try model.store.allocate(on: backend, seed: 0)
    let optimiser = try SGD(model.store)
    var random = Philox(seed: 0, stream: 0)
    let images = try backend.upload(HostTensor((0..<shape.count).map { _ in random.uniform() * 2 - 1 }, shape: shape))
    let labels = try backend.upload(
      HostTensor((0..<batchSize).map { _ in Int32(random.below(usual.classes)) }, shape: [batchSize]))
    let metrics = try backend.tensor([3])
    try backend.fill(metrics, with: 0)

    let train = {
      try model.trainingStep(images: images, labels: labels, metrics: metrics, optimiser, learningRate: 1e-3)
    }
    let trained = try imagesPerSecond(on: backend, train)
    let peak = backend.memory.peakBytesHeld
    let folded = FoldedParameters()
    let inferred = try imagesPerSecond(on: backend) {
      _ = try model(Variable(images), Pass(on: backend, mode: .inference, folded: folded))
    }
    if json {
      printJSON(
        .members([
          "model": .string(self.model), "batch_size": .integer(batchSize), "image_size": .integer(side),
          "train_images_per_second": .number(trained), "infer_images_per_second": .number(inferred), "peak_bytes": .integer(peak),
          "device": .string(backend.name),
        ]))
    } else {
      print(
        "\(self.model), batch \(batchSize), \(side)×\(side)×\(channels), on \(backend.name)\n"
          + "training \(fixed(trained, 1)) images/s, inference \(fixed(inferred, 1)) images/s, peak memory \(bytes(peak))")
    }
    if profile, let backend = backend as? OpenCLBackend { try printProfile(backend, train) }
  }

  private func imagesPerSecond(on backend: any Backend, _ step: () throws -> Void) throws -> Double {
    for _ in 0..<2 { try step() }
    try backend.finish()
    let times = try (0..<steps).map { _ in
      let start = ContinuousClock.now
      try step()
      try backend.finish()
      return (ContinuousClock.now - start).seconds
    }
    return Double(batchSize) / times.median
  }
}
