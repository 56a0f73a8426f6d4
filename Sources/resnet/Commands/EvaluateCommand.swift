import ArgumentParser
import Compute
import Datasets
import Formats
import Images
import Models
import ResNetKit
import Support
import Training

extension ImageFolderPart: ExpressibleByArgument {}

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure a checkpoint on a data set's test images.",
    usage: "resnet evaluate [--checkpoint file] [options]",
    discussion: """
      If a folder of photographs contains the folders of the classes, all its images are measured on. If it contains folders \
      such as train and val instead, the images in val are used, or else those in test. Standard error says which. --split \
      takes another part. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet evaluate --checkpoint runs/resnet20-fashion-mnist",
          "resnet evaluate --checkpoint resnet50.pth --dataset folder --data photos",
          "resnet evaluate --checkpoint model.onnx --dataset folder --data flowers --json"))

  @OptionGroup(title: HelpGroup.data) var input: MeasuredDataOptions
  @OptionGroup(title: HelpGroup.model) var checkpoint: CheckpointOptions
  @OptionGroup(title: HelpGroup.augmentation) var augmentation: TestTimeAugmentationOption
  @OptionGroup(title: HelpGroup.device) var device: DeviceOption
  @OptionGroup(title: HelpGroup.device) var precision: PrecisionOption
  @OptionGroup(title: HelpGroup.device) var tuning: TuneOption
  @OptionGroup(title: HelpGroup.output) var output: EvaluationOutputOptions

  func validate() throws {
    try tuning.validate(device)
    try precision.validate(device)
  }

  func run() throws {
    Signals.catchAll()
    if let confusion = output.confusion {
      try requireOther("--confusion", confusion, than: [checkpoint.checkpoint, input.data, input.images.classNames.classNames])
    }
    let checkpoint = try checkpoint.read()
    guard let dataset = try input.dataset ?? about(checkpoint.path, { try checkpoint.dataset.map(DatasetKind.init(named:)) })
    else {
      throw usageError("\(checkpoint.path) does not name a data set: add --dataset")
    }
    let (validation, classes, source) = try open(dataset, for: checkpoint)
    // Photographs have the size of the views already.
    let images = try ImageViews(validation, augmentation.tta, cropSize: dataset == .folder ? nil : checkpoint.imageSize)
    let precision = precision.precision ?? .fp32
    if let confusion = output.confusion { try Evaluation.requireWritable(classes: checkpoint.classes.count, to: confusion) }
    let classifier = try checkpoint.classifier(
      on: device.place(tuning.mode), images: images.shape(ofBatch: input.batchSize), precision: precision)
    if let source { printError("measuring on \(source)") }
    let leftOut = LeftOutImages()
    let loader = try BatchLoader(
      images, precision: precision, streams: true, on: classifier.backend, onDamage: leftOut.add)
    let evaluation = try classifier.evaluate(loader, batchSize: input.batchSize) { _ in Signals.pending == nil }
    guard var evaluation else { throw Signals.exitCode }
    guard evaluation.metrics.loss.isFinite else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "the loss is not a number, so the weights or the images are far out of range")
    }
    evaluation.classes = classes
    if output.json { printJSON(evaluation.json(damaged: leftOut.count)) } else { print(evaluation.text) }
    for note in evaluation.notes { printError(note) }
    leftOut.finish()
    if let confusion = output.confusion { try evaluation.writeConfusion(to: confusion) }
  }

  /// Opens the images to measure on, labeled with the indices of the outputs. Also returns the names of the outputs and, for a
  /// folder, a description of the images.
  private func open(
    _ dataset: DatasetKind, for checkpoint: Checkpoint
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    if dataset != .folder, let option = input.aboutPhotographs.first {
      throw usageError("\(option) is about photographs: it needs --dataset folder, not \(dataset.rawValue)")
    }
    if dataset == .folder { return try openFolder(for: checkpoint) }
    let images = try input.split.map { try dataset.load($0, from: input.data) } ?? dataset.load(from: input.data).validation
    try checkpoint.check(images, at: input.data)
    let names = try checkpoint.names(from: input.images.classNames)
    if names != nil, images.namesClasses {
      throw usageError("--class-names: the data set '\(dataset.rawValue)' names its classes itself: leave it out")
    }
    // A data set may have fewer classes than the network, or no names for them.
    let isNamed = images.namesClasses && images.classes.count == checkpoint.classes.count
    return (
      images, isNamed ? images.classes : names ?? checkpoint.classes,
      split.map { "the \(grouped(images.count)) images of the \($0.adjective) part of \(dataset.rawValue)" }
    )
  }

  /// Opens the photographs of a folder, prepared and normalized for the network.
  private func openFolder(
    for checkpoint: Checkpoint
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    let (photographs, source) = try DatasetKind.openMeasuredFolder(
      input.data, imageSize: input.images.imageSize ?? checkpoint.imageSize.height,
      normalization: checkpoint.channels == 1 ? .imageNetGray : .imageNet, damaged: input.damaged ?? .fail,
      part: input.split)
    reportIgnored(photographs)
    try checkpoint.check(photographs, at: input.data)
    let names = try checkpoint.names(from: input.images.classNames)
    let labeled = try checkpoint.labeled(photographs, at: input.data ?? photographs.name, names: names, order: input.classOrder)
    let known = try input.images.normalization.normalization(for: checkpoint)
    let prepared = try labeled.prepared(
      try checkpoint.preparation(size: input.images.imageSize, input.images.resizing.recipe), normalization: known)
    let isSeen = source.mayHaveBeenTrainedOn && checkpoint.dataset == DatasetKind.folder.rawValue
    let warning = isSeen ? "; a run that was trained on this folder has seen most of them" : ""
    return (prepared, prepared.classes, source.description + warning)
  }
}
