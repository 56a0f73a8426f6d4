import ArgumentParser
import Images
import Models
import Support
import Training

extension TestTimeAugmentation: ExpressibleByArgument {}

/// Option `--tta`, for the commands that classify.
struct TestTimeAugmentationOption: ParsableArguments {
  @Option(
    help: """
      Test-time augmentation: none, flip (each image and its mirror image) or ten-crop (the four corners and the center, and \
      their mirror images). The probabilities are averaged.
      """)
  var tta = TestTimeAugmentation.none
}

/// Options of the images that `predict` classifies.
struct PredictionInputOptions: ParsableArguments {
  @OptionGroup var images: ImageOptions

  @Option(help: "Classify a part of the photographs of the checkpoint's run instead of named images: train, val or test.")
  var split: ImageFolderPart?

  @Option(
    help: ArgumentHelp("Safetensors file with images [N,H,W,C] of F32, F16 or BF16, used as they are.", valueName: "file"),
    completion: .safetensors)
  var tensors: String?

  @Option(help: "Batch size.")
  var batchSize = 128

  func validate() throws {
    try requirePaths(["--tensors": tensors])
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
  }
}

/// Options of what `predict` prints and writes.
struct PredictionOutputOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Number of classes to show. Default: 5, or all if there are fewer.", valueName: "count"))
  var top: Int?

  @Flag(help: "Print a JSON array with an object for each image.")
  var json = false

  @Option(
    help: ArgumentHelp("Safetensors file to write the logits [N,classes] to, in float32.", valueName: "file"),
    completion: .safetensors)
  var output: String?

  @Option(
    help: ArgumentHelp(
      "Safetensors file to write instead of predictions: for each image what stands before the last layer.", valueName: "file"),
    completion: .safetensors)
  var features: String?

  func validate() throws {
    try requirePaths(["--output": output, "--features": features])
    try requireSizes(["--top": top], in: ModelConfiguration.classCounts)
  }
}
