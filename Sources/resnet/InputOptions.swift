import ArgumentParser
import Compute
import Models

/// The options that say what images a model is measured or summarised on.
struct InputOptions: ParsableArguments {
  @Option(help: "Images at once. Default: 128 to measure, 1 for a summary.")
  var batchSize: Int?

  @Option(help: "Height and width. Default: 224 for the ImageNet family, 32 for the other.")
  var imageSize: Int?

  @Option(help: "Channels of the images.")
  var channels = 3

  func validate() throws {
    try requireSizes(["--batch-size": batchSize, "--image-size": imageSize], in: 1...1 << 20)
    try requireSizes(["--channels": channels], in: ModelConfiguration.channelCounts)
  }

  /// [N,H,W,C].
  /// - Throws: ``Failure`` for an unknown name.
  func images(for model: String, defaultBatch: Int) throws -> Shape {
    let side = try imageSize ?? ModelConfiguration.usualInput(of: model).side
    return [batchSize ?? defaultBatch, side, side, channels]
  }
}
