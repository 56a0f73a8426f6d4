import ArgumentParser
import Compute
import Models

/// Options for the images that a model is measured or summarized on.
struct InputOptions: ParsableArguments {
  @Option(help: "Batch size. Default: 128 for measurements, 1 for a summary.")
  var batchSize: Int?

  @Option(help: "Image height and width. Default: 224 for the ImageNet family, 32 for other models.")
  var imageSize: Int?

  @Option(help: "Number of image channels.")
  var channels = 3

  func validate() throws {
    try requireSizes(["--batch-size": batchSize, "--image-size": imageSize], in: 1...1 << 20)
    try requireSizes(["--channels": channels], in: ModelConfiguration.channelCounts)
  }

  /// Returns the shape of the images, [N,H,W,C].
  /// - Throws: ``Failure`` for an unknown model.
  func images(for model: String, defaultBatch: Int) throws -> Shape {
    let side = try imageSize ?? ModelConfiguration.usualInput(of: model).side
    return [batchSize ?? defaultBatch, side, side, channels]
  }
}
