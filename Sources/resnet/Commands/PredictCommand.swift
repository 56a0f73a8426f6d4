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
      networks of one channel. If images are damaged, they are named, the others are classified, and the exit code is 1. \
      `-` is an image on standard input. --split takes the images of the checkpoint's run. \
      With --csv or --sort-into, the number of images of each class is printed instead of \
      every prediction. --explain shows which parts of the images speak for their classes. With --tensors, the network runs \
      on tensors as they are. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet predict --checkpoint runs/resnet18-folder rose.jpg holiday",
          "resnet predict --checkpoint runs/resnet18-folder holiday --csv holiday.csv",
          "resnet predict --tensors in.safetensors --output logits.safetensors"))

  @Argument(
    help: ArgumentHelp(
      "Image files, folders or archives with images in or below them, or - for one image on standard input.", valueName: "image"),
    completion: .file())
  var images: [String] = []

  @OptionGroup(title: HelpGroup.data) var input: PredictionInputOptions
  @OptionGroup(title: HelpGroup.model) var checkpoint: CheckpointOptions
  @OptionGroup(title: HelpGroup.augmentation) var augmentation: TestTimeAugmentationOption
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var precision: PrecisionOption
  @OptionGroup(title: HelpGroup.output) var result: PredictionOutputOptions
  @OptionGroup(title: HelpGroup.output) var results: PredictionFileOptions
  @OptionGroup(title: HelpGroup.output) var explanation: ExplanationOptions
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  func validate() throws {
    try precision.validate(device)
    let output = result.output
    if images.contains("") { throw ValidationError("<image> '': a path is needed") }
    if images.count(where: { $0 == "-" }) > 1 { throw ValidationError("<image> -: standard input holds one image, name it once") }
    if input.tensors != nil {
      let ofImages =
        [
          ("<image>", !images.isEmpty), ("--split", input.split != nil), ("--top", result.top != nil),
          ("--tta", augmentation.tta != .none),
          ("--image-size", input.images.imageSize != nil), ("--json", result.json),
          ("--features", result.features != nil),
        ].filter(\.1).map(\.0) + input.images.resizing.given + input.images.normalization.given + input.images.classNames.given
        + results.given + explanation.given
      if let option = ofImages.first {
        throw ValidationError("--tensors runs the network on tensors as they are: leave \(option) out")
      }
      if output == nil { throw ValidationError("--tensors needs --output: a file for the logits") }
    } else {
      if output != nil { throw ValidationError("--output is for the logits of --tensors: of images the result is printed") }
      let ofClasses =
        [("--top", result.top != nil), ("--tta", augmentation.tta != .none), ("--json", result.json)].filter(\.1).map(\.0)
        + input.images.classNames.given + results.given + explanation.given
      if result.features != nil, let option = ofClasses.first {
        throw ValidationError("--features writes features instead of predictions: leave \(option) out")
      }
      if explanation.explain != nil, augmentation.tta != .none {
        throw ValidationError("--explain shows each image in one view: leave --tta out")
      }
      if input.split != nil, !images.isEmpty {
        throw ValidationError("--split takes the images of a run: leave <image> out")
      }
      if input.split == nil, images.isEmpty {
        throw ValidationError(
          "nothing to classify: name images or folders, a part of a run's (--split), or --tensors with --output")
      }
    }
  }

  func run() throws {
    Signals.catchAll()
    verbosity.begin()
    let path = try checkpoint.path()
    if let output = result.output { try requireOther("--output", output, than: [path, input.tensors]) }
    if let csv = results.csv { try requireOther("--csv", csv, than: [path, input.images.classNames.classNames] + images) }
    if let features = result.features { try requireOther("--features", features, than: [path] + images) }
    let checkpoint = try checkpoint.read(path)
    if let tensors = input.tensors, let output = result.output {
      try run(checkpoint, on: tensors, to: output)
    } else if let features = result.features {
      try writeFeatures(checkpoint, at: path, to: features)
    } else {
      try classify(checkpoint, at: path)
    }
  }

  // MARK: Images

  /// Finds the images that are named, or those of the run.
  /// - Parameter weights: file of the weights.
  private func imagePlaces(for weights: String) throws -> [ImagePlace] {
    Display.shared.begin(.reading)
    guard let part = input.split else { return try findImages(images) }
    let (photographs, description) = try RunImages.photographs(part, ofRunWith: weights)
    reportIgnored(photographs)
    printErrorNote("classifying \(description)")
    return photographs.items.map(\.place)
  }

  private func classify(_ checkpoint: Checkpoint, at path: String) throws {
    let normalization = try input.images.normalization.normalization(ofFilesFor: checkpoint)
    let classes = try checkpoint.names(from: input.images.classNames) ?? checkpoint.classes
    let places = try imagePlaces(for: path)
    let explanations = try explanation.prepare(checkpoint, classes: classes, arguments: images)
    Display.shared.begin(.preparing)
    let photographs = try PhotographDataset(
      places, try checkpoint.preparation(size: input.images.imageSize, input.images.resizing.recipe),
      normalization: normalization, damaged: .skip)
    let views = try ImageViews(photographs, augmentation.tta)
    let precision = precision.precision ?? .fp32
    let sorter = try results.sorter(of: places, in: images, classes: classes)
    let classifier = try checkpoint.classifier(
      on: device.place(), images: views.shape(ofBatch: input.batchSize), precision: precision)
    let loader = try BatchLoader(views, precision: precision, streams: true, on: classifier.backend)
    Log.opened(classifier.backend)
    Display.shared.begin(.classifying, of: loader.count)
    let (form, top): (PredictionReport.Form, _) = (result.json ? .json : results.areGiven ? .counts : .text, result.top ?? 5)
    func predict(_ table: PredictionTable?) throws -> PredictionReport {
      var report = PredictionReport(places, classes: classes, as: form, table: table, sorter: sorter)
      if let explanations, let classifier = classifier as? ResNetClassifier {
        try explain(classifier, loader, places, top: top, explanations) { try report.add($0) }
      } else {
        let isDone = try classifier.predict(
          loader, batchSize: input.batchSize, top: top, progress: progress,
          { predictions in for prediction in predictions { try report.add(prediction) } })
        guard isDone else { throw Signals.exitCode }
      }
      Display.shared.finish()
      return report
    }
    let report =
      try results.csv.map { path in
        try AtomicFile.write(to: path) { try predict(try PredictionTable($0, classes: classes, top: top)) }
      } ?? predict(nil)
    report.finish()
    try report.damaged.finish()
  }

  /// Predicts and explains all images.
  /// - Parameter report: called with each prediction in order.
  private func explain(
    _ classifier: ResNetClassifier, _ loader: BatchLoader, _ places: [ImagePlace], top: Int,
    _ explanations: (folder: ExplanationFolder, label: Int?), report: (Prediction) throws -> Void
  ) throws {
    try explanations.folder.write { table in
      let isDone = try classifier.explain(
        loader, batchSize: input.batchSize, top: top, label: explanations.label, progress: progress
      ) { prediction, explanation in
        try table.add(places[prediction.sample], prediction, explanation)
        try report(prediction)
      }
      guard isDone else { throw Signals.exitCode }
    }
  }

  /// Shows how many images are done.
  /// - Returns: false after a signal.
  private func progress(_ done: Int) -> Bool {
    Display.shared.advance(to: done)
    return Signals.pending == nil
  }

  // MARK: Features

  private func writeFeatures(_ checkpoint: Checkpoint, at weights: String, to path: String) throws {
    let normalization = try input.images.normalization.normalization(ofFilesFor: checkpoint)
    let places = try imagePlaces(for: weights)
    try AtomicFile.requireWritable(path)
    Display.shared.begin(.preparing)
    let extractor = try FeatureExtractor(
      checkpoint, on: device.place(), batchSize: min(input.batchSize, places.count), precision: precision.precision ?? .fp32,
      normalization: normalization,
      preparation: try checkpoint.preparation(size: input.images.imageSize, input.images.resizing.recipe))
    let damaged = FailureReport()
    Display.shared.begin(.classifying, of: places.count)
    let rows = try FeatureFile.write(of: places, by: extractor, to: path, progress: progress, onDamage: damaged.add)
    Display.shared.finish()
    guard let rows else { throw Signals.exitCode }
    print("\(checkpoint.name), features [\(rows), \(extractor.count)] of \(grouped(rows)) images in \(path)")
    try damaged.finish()
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
