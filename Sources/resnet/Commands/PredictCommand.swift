import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import Models
import ResNetKit
import Support
import Training

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Classify images.",
    usage: "resnet predict [--checkpoint file] [options] <image>...",
    discussion: """
      Classifies image files (JPEG, PNG, WebP, GIF, BMP, TIFF) and folders of them, prepared as by `resnet evaluate`. If the \
      network was trained on photographs, or comes from elsewhere and takes 64 pixels or more, the shorter side is resized and \
      the center cut out. Otherwise the whole image is resized to the size of the training images. Images become gray for \
      networks of one channel. If images are damaged, they are named, the others are classified, and the exit code is 1. With \
      --tensors, the network runs on tensors as they are. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet predict --checkpoint runs/resnet18-folder rose.jpg holiday",
          "resnet predict --checkpoint resnet50.pth --class-names names.txt cat.png",
          "resnet predict --tensors in.safetensors --output logits.safetensors"))

  @Argument(
    help: ArgumentHelp("Image files, and folders with images in or below them.", valueName: "image"), completion: .file())
  var images: [String] = []

  @OptionGroup(title: HelpGroup.data) var input: PredictionInputOptions
  @OptionGroup(title: HelpGroup.model) var checkpoint: CheckpointOptions
  @OptionGroup(title: HelpGroup.augmentation) var augmentation: TestTimeAugmentationOption
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var precision: PrecisionOption
  @OptionGroup(title: HelpGroup.output) var result: PredictionOutputOptions
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  func validate() throws {
    try precision.validate(device)
    let output = result.output
    if images.contains("") { throw ValidationError("<image> '': a path is needed") }
    if input.tensors != nil {
      let ofImages =
        [
          ("<image>", !images.isEmpty), ("--top", result.top != nil), ("--tta", augmentation.tta != .none),
          ("--image-size", input.images.imageSize != nil), ("--json", result.json),
        ].filter(\.1).map(\.0) + input.images.resizing.given + input.images.normalization.given + input.images.classNames.given
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
    verbosity.begin()
    let path = try checkpoint.path()
    if let output = result.output { try requireOther("--output", output, than: [path, input.tensors]) }
    let checkpoint = try checkpoint.read(path)
    if let tensors = input.tensors, let output = result.output {
      try run(checkpoint, on: tensors, to: output)
    } else {
      try classify(checkpoint)
    }
  }

  // MARK: Images

  private func classify(_ checkpoint: Checkpoint) throws {
    let normalization = try normalization(of: checkpoint)
    let classes = try checkpoint.names(from: input.images.classNames) ?? checkpoint.classes
    Display.shared.begin(.reading)
    let (paths, ignored) = try ImageFiles.find(images)
    Display.shared.begin(.preparing)
    reportIgnored(ignored)
    let photographs = try PhotographDataset(
      files: paths, try checkpoint.preparation(size: input.images.imageSize, input.images.resizing.recipe),
      normalization: normalization, damaged: .skip)
    let images = try ImageViews(photographs, augmentation.tta)
    let precision = precision.precision ?? .fp32
    let classifier = try checkpoint.classifier(
      on: device.place(), images: images.shape(ofBatch: input.batchSize), precision: precision)
    let loader = try BatchLoader(images, precision: precision, streams: true, on: classifier.backend)
    Log.opened(classifier.backend)
    Display.shared.begin(.classifying, of: loader.count)
    var report = PredictionReport(paths: paths, classes: classes, asJSON: result.json)
    let isDone = try classifier.predict(
      loader, batchSize: input.batchSize, top: result.top ?? 5, progress: progress,
      { predictions in for prediction in predictions { report.add(prediction) } })
    Display.shared.finish()
    guard isDone else { throw Signals.exitCode }
    report.finish()
    if report.failures > 0 { throw ExitCode.failure }
  }

  /// Shows how many images are done.
  /// - Returns: false after a signal.
  private func progress(_ done: Int) -> Bool {
    Display.shared.advance(to: done)
    return Signals.pending == nil
  }

  private func normalization(of checkpoint: Checkpoint) throws -> Normalization {
    guard checkpoint.channels == 1 || checkpoint.channels == 3 else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "\(checkpoint.name) is built for images of \(checkpoint.channels) channels, image files have 1 or 3",
        remedy: "use --tensors")
    }
    return try input.images.normalization.normalization(for: checkpoint)
  }

  // MARK: Tensors

  private func run(_ checkpoint: Checkpoint, on path: String, to output: String) throws {
    let images = try read(path, for: checkpoint)
    let precision = precision.precision ?? .fp32
    let batch = Shape([min(input.batchSize, images.shape[0])] + images.shape.dimensions.dropFirst())
    let classifier = try checkpoint.classifier(on: device.place(), images: batch, precision: precision)
    try AtomicFile.requireWritable(output)
    let logits = try about(checkpoint.path) {
      Display.shared.begin(.classifying, of: images.shape[0])
      return try classifier.outputs(of: images, batchSize: input.batchSize, precision: precision, progress: progress)
    }
    Display.shared.finish()
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
