import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import Models
import ResNetKit
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

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Classify images.",
    discussion: """
      Classifies image files (JPEG, PNG, WebP, GIF, BMP, TIFF) and folders of them, prepared as by `resnet evaluate`. If the \
      network was trained on photographs, or comes from elsewhere and takes 64 pixels or more, the shorter side is resized and \
      the center cut out. Otherwise the whole image is resized to the size of the training images. Images become gray for \
      networks of one channel. If images are damaged, they are named, the others are classified, and the exit code is 1. With \
      --tensors, the network runs on tensors as they are.
      """)

  @OptionGroup var device: DeviceOption

  @OptionGroup var checkpoint: CheckpointOptions

  @Argument(help: ArgumentHelp("Image files, and folders with images in or below them.", valueName: "image"))
  var images: [String] = []

  @Option(help: ArgumentHelp("Number of classes to show. Default: 5, or all if there are fewer.", valueName: "count"))
  var top: Int?

  @OptionGroup var augmentation: TestTimeAugmentationOption

  @Option(help: "Height and width of the network's input. Default: those of training, otherwise the usual size of the network.")
  var imageSize: Int?

  @OptionGroup var resizing: ResizeOptions

  @OptionGroup var normalization: NormalizationOptions

  @OptionGroup var classNames: ClassNamesOption

  @Flag(help: "Print a JSON array with an object for each image.")
  var json = false

  @Option(help: ArgumentHelp("Safetensors file with images [N,H,W,C] of F32, F16 or BF16, used as they are.", valueName: "file"))
  var tensors: String?

  @Option(help: ArgumentHelp("Safetensors file to write the logits [N,classes] to, in float32.", valueName: "file"))
  var output: String?

  @Option(help: "Batch size.")
  var batchSize = 128

  @OptionGroup var precision: PrecisionOption

  func validate() throws {
    try precision.validate(device)
    try requirePaths(["--tensors": tensors, "--output": output])
    if images.contains("") { throw ValidationError("<image> '': a path is needed") }
    if batchSize < 1 { throw ValidationError("--batch-size \(batchSize): at least one image is needed") }
    try requireSizes(["--top": top], in: ModelConfiguration.classCounts)
    try requireSizes(["--image-size": imageSize], in: ModelConfiguration.imageSides)
    if tensors != nil {
      let ofImages =
        [
          ("<image>", !images.isEmpty), ("--top", top != nil), ("--tta", augmentation.tta != .none),
          ("--image-size", imageSize != nil), ("--json", json),
        ].filter(\.1).map(\.0) + resizing.given + normalization.given + classNames.given
      if let option = ofImages.first {
        throw ValidationError("--tensors runs the network on tensors as they are: leave \(option) out")
      }
      if output == nil { throw ValidationError("--tensors needs --output: a file for the logits") }
    } else {
      if output != nil { throw ValidationError("--output is for the logits of --tensors: of images the result is printed") }
      if images.isEmpty { throw ValidationError("nothing to classify: name images or folders, or --tensors with --output") }
    }
  }

  func run() throws {
    Signals.catchAll()
    if let output { try requireOther("--output", output, than: [checkpoint.checkpoint, tensors]) }
    let checkpoint = try checkpoint.read()
    if let tensors, let output { try run(checkpoint, on: tensors, to: output) } else { try classify(checkpoint) }
  }

  // MARK: Images

  private func classify(_ checkpoint: Checkpoint) throws {
    let normalization = try normalization(of: checkpoint)
    let classes = try checkpoint.names(from: classNames) ?? checkpoint.classes
    let (paths, ignored) = try ImageFiles.find(images)
    reportIgnored(ignored)
    let photographs = try PhotographDataset(
      files: paths, try checkpoint.preparation(size: imageSize, resizing.recipe), normalization: normalization, damaged: .skip)
    let images = try ImageViews(photographs, augmentation.tta)
    let precision = precision.precision ?? .fp32
    let classifier = try checkpoint.classifier(
      on: device.place(), images: images.shape(ofBatch: batchSize), precision: precision)
    let loader = try BatchLoader(images, precision: precision, streams: true, on: classifier.backend)
    var report = PredictionReport(paths: paths, classes: classes, asJSON: json)
    let isDone = try classifier.predict(
      loader, batchSize: batchSize, top: top ?? 5, progress: { _ in Signals.pending == nil },
      { predictions in for prediction in predictions { report.add(prediction) } })
    guard isDone else { throw Signals.exitCode }
    report.finish()
    if report.failures > 0 { throw ExitCode.failure }
  }

  private func normalization(of checkpoint: Checkpoint) throws -> Normalization {
    guard checkpoint.channels == 1 || checkpoint.channels == 3 else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "\(checkpoint.name) is built for images of \(checkpoint.channels) channels, image files have 1 or 3",
        remedy: "use --tensors")
    }
    return try normalization.normalization(for: checkpoint)
  }

  // MARK: Tensors

  private func run(_ checkpoint: Checkpoint, on path: String, to output: String) throws {
    let images = try read(path, for: checkpoint)
    let precision = precision.precision ?? .fp32
    let batch = Shape([min(batchSize, images.shape[0])] + images.shape.dimensions.dropFirst())
    let classifier = try checkpoint.classifier(on: device.place(), images: batch, precision: precision)
    try AtomicFile.requireWritable(output)
    let logits = try about(checkpoint.path) {
      try classifier.outputs(of: images, batchSize: batchSize, precision: precision) { _ in Signals.pending == nil }
    }
    guard let logits else { throw Signals.exitCode }
    try Safetensors.write([("logits", logits)], metadata: [:], to: output)
    print("\(checkpoint.name), logits \(logits.shape) of \(grouped(logits.shape[0])) images in \(output)")
  }

  private func read(_ path: String, for checkpoint: Checkpoint) throws -> HostTensor {
    let file = try Safetensors.read(path)
    guard let images = file.tensors["images"] else {
      throw Failure(.notFound, about: path, "there is no tensor images [N, H, W, C]")
    }
    guard images.shape.rank == 4, images.type == .float32 else {
      throw Failure(
        .unsupported, about: path,
        "images are \(images.shape) of \(images.type), not [N, H, W, C] of F32, F16 or BF16")
    }
    guard !images.shape.dimensions.contains(0) else {
      throw Failure(.notFound, about: path, "images \(images.shape) are none")
    }
    guard images.shape[3] == checkpoint.channels else {
      let hint = hasChannelsFirst(images.shape) ? ": \(images.shape) looks like [N, C, H, W], and [N, H, W, C] is wanted" : ""
      throw Failure(
        .mismatch, about: path,
        "\(checkpoint.name) is built for images of \(checkpoint.channels) channels, these have \(images.shape[3])\(hint)")
    }
    guard images.isFinite else {
      throw Failure(.damagedFile, about: path, "images have values that are not finite numbers")
    }
    return images
  }
}

/// Prints predictions as they arrive.
private struct PredictionReport {
  let paths, classes: [String]
  let asJSON: Bool
  private(set) var failures = 0
  private var isFirst = true

  init(paths: [String], classes: [String], asJSON: Bool) {
    (self.paths, self.classes, self.asJSON) = (paths, classes, asJSON)
  }

  mutating func add(_ prediction: Prediction) {
    let path = paths[prediction.sample]
    if case .failure(let failure) = prediction.classes {
      failures += 1
      printError("Error: \(failure.line)")
    }
    if asJSON {
      print(isFirst ? "[" : ",", terminator: "")
      print(describe(path, prediction), terminator: "")
    } else if case .success(let found) = prediction.classes {
      print(printable(path))
      for (label, probability) in found {
        let percent = fixed(probability * 100, 2)
        print(String(repeating: " ", count: max(0, 8 - percent.count)) + "\(percent) %  \(printable(classes[label]))")
      }
    }
    isFirst = false
  }

  func finish() { if asJSON { print(isFirst ? "[]" : "]") } }

  private func describe(_ path: String, _ prediction: Prediction) -> JSON {
    switch prediction.classes {
    case .success(let found):
      let predictions = found.map { label, probability in
        JSON.members(["class": .string(classes[label]), "label": .integer(label), "probability": .number(probability)])
      }
      return .members(["path": .string(path), "predictions": .array(predictions)])
    case .failure(let failure):
      return .members(["path": .string(path), "error": .string(failure.line)])
    }
  }
}
