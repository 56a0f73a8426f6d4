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
    let run = try ownRun(of: path)
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

  /// Finds the run that the weights are from, if its own images are measured on: if the options name no others, or a part of
  /// the run's own data set, so that the part is the one that the run had.
  private func ownRun(of weights: String) throws -> RunFolder? {
    guard input.dataset == nil, input.labeling.labels == nil, let run = RunFolder(ofWeights: weights) else { return nil }
    guard let data = input.data else { return run }
    guard input.split != nil, let own = try run.configuration().data.path else { return nil }
    return InputFile.areSame(data, own) ? run : nil
  }

  /// Opens the images to measure on, labeled with the indices of the outputs. Also returns the names of the outputs and, for a
  /// folder and for the images of a run, a description of the images.
  /// - Parameter run: run whose own images are measured on; nil for the images that the options name.
  private func open(
    _ dataset: DatasetKind, of run: RunFolder?, for checkpoint: Checkpoint
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    if dataset != .folder, let option = input.aboutPhotographs.first {
      throw usageError("\(option) is about photographs: it needs --dataset folder, not \(dataset.rawValue)")
    }
    let data = try run.map { try TrainingSetup.configuration(of: $0).data }
    let own = try run.flatMap(ownImages)
    let path = data?.path ?? input.data
    if dataset == .folder { return try openFolder(path, labels: data?.labels ?? input.labeling.labels, for: checkpoint, own) }
    let images: any ImageSource =
      try own?.images ?? input.split.map { try dataset.load($0, from: path) } ?? dataset.load(from: path).validation
    try checkpoint.check(images, at: path)
    let names = try checkpoint.names(from: input.images.classNames)
    if names != nil, images.namesClasses {
      throw usageError("--class-names: the data set '\(dataset.rawValue)' names its classes itself: leave it out")
    }
    // A data set may have fewer classes than the network, or no names for them.
    let isNamed = images.namesClasses && images.classes.count == checkpoint.classes.count
    let part = input.split.map { "the \(grouped(images.count)) images of the \($0.adjective) part of \(dataset.rawValue)" }
    return (images, isNamed ? images.classes : names ?? checkpoint.classes, own == nil ? part : own?.source)
  }

  /// Opens the images that a run trained or validated on, and describes them; nil for its test images, which it did not use.
  private func ownImages(of run: RunFolder) throws -> (images: any ImageSource, source: String?)? {
    if input.split == .test { return nil }
    let own = try RunImages(run, input.split ?? .validation, damaged: input.damaged)
    // The usual test images of a data set that the system keeps need no words.
    let needsWords = input.split != nil || own.data.path != nil || own.data.validationShare != nil
    return (own.images, needsWords ? own.description : nil)
  }

  /// Opens the photographs of a folder, prepared and normalized for the network.
  /// - Parameter own: images of a run with their description; nil for the part of the folder that the options name.
  private func openFolder(
    _ path: String?, labels: String?, for checkpoint: Checkpoint, _ own: (images: any ImageSource, source: String?)?
  ) throws -> (images: any ImageSource, classes: [String], source: String?) {
    if let own, let photographs = own.images as? PhotographDataset {
      let images = try prepare(photographs, for: checkpoint, at: path)
      return (images, images.classes, own.source)
    }
    let (photographs, measured) = try DatasetKind.openMeasuredFolder(
      path, labels: labels, imageSize: input.images.imageSize ?? checkpoint.imageSize.height,
      normalization: checkpoint.channels == 1 ? .imageNetGray : .imageNet, damaged: input.damaged ?? .fail,
      part: input.split, progress: Display.reading)
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
