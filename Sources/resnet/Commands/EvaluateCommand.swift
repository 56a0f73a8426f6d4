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
  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  func validate() throws {
    try tuning.validate(device)
    try precision.validate(device)
  }

  func run() throws {
    Signals.catchAll()
    verbosity.begin()
    let path = try checkpoint.path()
    if let confusion = output.confusion {
      try requireOther("--confusion", confusion, than: [path, input.data, input.images.classNames.classNames])
    }
    let checkpoint = try checkpoint.read(path)
    // A run knows its data.
    let run = input.data == nil && input.dataset == nil && input.labeling.labels == nil ? RunFolder(ofWeights: path) : nil
    let known = try input.dataset ?? about(checkpoint.path) { try checkpoint.dataset.map(DatasetKind.init(named:)) }
    let labeled = input.labeling.labels == nil ? nil : DatasetKind.folder
    guard let dataset = try known ?? labeled ?? input.data.flatMap({ try DatasetKind.guess(at: $0)?.kind }) else {
      throw usageError("\(checkpoint.path) does not name a data set: add --dataset")
    }
    Display.shared.begin(.reading)
    let (validation, classes, source) = try open(dataset, of: run, for: checkpoint)
    // Photographs have the size of the views already.
    let images = try ImageViews(validation, augmentation.tta, cropSize: dataset == .folder ? nil : checkpoint.imageSize)
    let precision = precision.precision ?? .fp32
    if let confusion = output.confusion { try Evaluation.requireWritable(classes: checkpoint.classes.count, to: confusion) }
    Display.shared.begin(.preparing)
    let classifier = try checkpoint.classifier(
      on: device.place(tuning.mode), images: images.shape(ofBatch: input.batchSize), precision: precision)
    Log.opened(classifier.backend)
    Log.debug("batches of \(input.batchSize) images, \(images.shape(ofBatch: input.batchSize))")
    if let source { printErrorNote("measuring on \(source)") }
    let leftOut = LeftOutImages()
    let loader = try BatchLoader(
      images, precision: precision, streams: true, on: classifier.backend, onDamage: leftOut.add)
    Display.shared.begin(.evaluating, of: loader.count)
    let evaluation = try classifier.evaluate(loader, batchSize: input.batchSize) { done in
      Display.shared.advance(to: done)
      return Signals.pending == nil
    }
    Display.shared.finish()
    Log.memory(of: classifier.backend)
    guard var evaluation else { throw Signals.exitCode }
    guard evaluation.metrics.loss.isFinite else {
      throw Failure(
        .mismatch, about: checkpoint.path,
        "the loss is not a number, so the weights or the images are far out of range")
    }
    evaluation.classes = classes
    if output.json { printJSON(evaluation.json(damaged: leftOut.count)) } else { print(evaluation.text) }
    leftOut.finish()
    if let confusion = output.confusion { try evaluation.writeConfusion(to: confusion) }
  }

  /// Opens the images to measure on, labeled with the indices of the outputs. Also returns the names of the outputs and, for a
  /// folder and for the images of a run, a description of the images.
  /// - Parameter run: run whose own validation images are measured on; nil for the images that the options name.
  private func open(
    _ dataset: DatasetKind, of run: RunFolder?, for checkpoint: Checkpoint
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    if dataset != .folder, let option = input.aboutPhotographs.first {
      throw usageError("\(option) is about photographs: it needs --dataset folder, not \(dataset.rawValue)")
    }
    let own = try run.map { try TrainingSetup.resuming($0, path: nil, damaged: input.damaged) }
    // Names data only if it has a place of its own.
    let source = own?.configuration.data.path == nil ? nil : run.map { "the validation images of \($0.path)" }
    if dataset == .folder { return try openFolder(for: checkpoint, own: own, source) }
    let path = own?.configuration.data.path ?? input.data
    let images: any ImageSource =
      try input.split.map { try dataset.load($0, from: path) } ?? own?.splits.validation ?? dataset.load(from: path).validation
    try checkpoint.check(images, at: path)
    let names = try checkpoint.names(from: input.images.classNames)
    if names != nil, images.namesClasses {
      throw usageError("--class-names: the data set '\(dataset.rawValue)' names its classes itself: leave it out")
    }
    // A data set may have fewer classes than the network, or no names for them.
    let isNamed = images.namesClasses && images.classes.count == checkpoint.classes.count
    let part = input.split.map { "the \(grouped(images.count)) images of the \($0.adjective) part of \(dataset.rawValue)" }
    return (images, isNamed ? images.classes : names ?? checkpoint.classes, part ?? source)
  }

  /// Opens the photographs of a folder, prepared and normalized for the network.
  /// - Parameters:
  ///   - own: run whose validation images are measured on; nil for the folder that the options name.
  ///   - source: description of the run's images.
  private func openFolder(
    for checkpoint: Checkpoint, own: TrainingSetup.Prepared?, _ source: String?
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    let path = own?.configuration.data.path ?? input.data
    if let own, input.split == nil, let photographs = own.splits.validation as? PhotographDataset {
      let images = try prepare(photographs, for: checkpoint, at: path)
      return (images, images.classes, source)
    }
    let (photographs, measured) = try DatasetKind.openMeasuredFolder(
      path, labels: own?.configuration.data.labels ?? input.labeling.labels,
      imageSize: input.images.imageSize ?? checkpoint.imageSize.height,
      normalization: checkpoint.channels == 1 ? .imageNetGray : .imageNet, damaged: input.damaged ?? .fail,
      part: input.split)
    let prepared = try prepare(photographs, for: checkpoint, at: path)
    let isSeen = measured.mayHaveBeenTrainedOn && checkpoint.dataset == DatasetKind.folder.rawValue
    let warning = isSeen ? "; a run that was trained on this folder has seen most of them" : ""
    return (prepared, prepared.classes, measured.description + warning)
  }

  /// Labels photographs with the indices of the outputs, and prepares and normalizes them for the network.
  /// - Parameter path: path of the folder, for messages.
  private func prepare(
    _ photographs: PhotographDataset, for checkpoint: Checkpoint, at path: String?
  ) throws -> PhotographDataset {
    reportIgnored(photographs)
    try checkpoint.check(photographs, at: path)
    let names = try checkpoint.names(from: input.images.classNames)
    let labeled = try checkpoint.labeled(
      photographs, at: path ?? input.labeling.labels ?? photographs.name, names: names, order: input.classOrder)
    let known = try input.images.normalization.normalization(for: checkpoint)
    return try labeled.prepared(
      try checkpoint.preparation(size: input.images.imageSize, input.images.resizing.recipe), normalization: known)
  }
}
