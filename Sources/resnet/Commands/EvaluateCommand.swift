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
    let inputs = [path, input.data, input.images.classNames.classNames]
    if let confusion = output.confusion { try requireOther("--confusion", confusion, than: inputs) }
    if let sheet = output.worstSheet {
      try requireOther("--worst-sheet", sheet, than: inputs)
      try AtomicFile.requireWritable(sheet)
    }
    let checkpoint = try checkpoint.read(path)
    Display.shared.begin(.reading)
    let measured = try input.open(for: checkpoint)
    // Photographs have the size of the views already.
    let images = try ImageViews(
      measured.images, augmentation.tta, cropSize: measured.kind == .folder ? nil : checkpoint.imageSize)
    let precision = precision.precision ?? .fp32
    if let confusion = output.confusion { try Evaluation.requireWritable(classes: checkpoint.classes.count, to: confusion) }
    Display.shared.begin(.preparing)
    let classifier = try checkpoint.classifier(
      on: device.place(tuning.mode), images: images.shape(ofBatch: input.batchSize), precision: precision)
    Log.opened(classifier.backend)
    Log.debug("batches of \(input.batchSize) images, \(images.shape(ofBatch: input.batchSize))")
    if let source = measured.source { printErrorNote("measuring on \(source)") }
    let leftOut = LeftOutImages()
    let loader = try BatchLoader(
      images, precision: precision, streams: true, on: classifier.backend, onDamage: leftOut.add)
    Display.shared.begin(.evaluating, of: loader.count)
    let evaluation = try classifier.evaluate(loader, batchSize: input.batchSize, worst: output.worstCount) { done in
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
    evaluation.classes = measured.classes
    let namesWorst = output.worstCount > 0
    if output.json {
      printJSON(evaluation.json(damaged: leftOut.count, namesWorst: namesWorst))
    } else {
      print(evaluation.text + (namesWorst ? "\n\n\(evaluation.worstText)" : ""))
    }
    leftOut.finish()
    if let sheet = output.worstSheet { try evaluation.writeWorst(of: measured.images, to: sheet) }
    if let confusion = output.confusion { try evaluation.writeConfusion(to: confusion) }
  }
}
