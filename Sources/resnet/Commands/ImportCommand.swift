import ArgumentParser
import Compute
import Formats
import Images
import Models
import ONNX
import ResNetKit
import Support
import Training

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Convert weights of other programs into a checkpoint.",
    usage: "resnet import [options] <file>",
    discussion: """
      Reads a state dictionary that torch.save wrote (.pth, .pt), alone or among other things, or a safetensors file, with the \
      names of torchvision, timm or transformers. Checks the weights against the network, and writes a checkpoint that names its \
      network. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet import resnet50.pth",
          "resnet import model.pth --class-names birds.txt --output birds.safetensors",
          "resnet import last.pth.tar --key state_dict_ema --image-size 288"))

  @Argument(help: ArgumentHelp("File with the weights.", valueName: "file"), completion: .weights)
  var input: String

  @OptionGroup(title: HelpGroup.data) var images: ImageOptions

  @OptionGroup(title: HelpGroup.model) var options: WeightsOptions

  @OptionGroup(title: HelpGroup.output) var files: ImportOutputOptions

  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  /// Option of what `import` writes.
  struct ImportOutputOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp("Checkpoint to write. Default: the weights' name, ending in .safetensors.", valueName: "file"),
      completion: .safetensors)
    var output: String?
  }

  private var resizing: ResizeOptions { images.resizing }
  private var imageSize: Int? { images.imageSize }

  func validate() throws { try requirePaths(["<file>": input, "--output": files.output]) }

  func run() throws {
    verbosity.begin()
    Display.shared.begin(.converting)
    let (weights, model) = try options.read(input)
    let output = try files.output ?? unusedOutput()
    try requireOther("--output", output, than: [input, images.classNames.classNames])
    try about(input) { try model.store.check(weights.tensors) }
    var description = try weights.description(as: model.configuration)
    description.classes =
      try images.classNames.names(ofClasses: model.configuration.classes, insteadOf: description.classes, of: input)
      ?? description.classes
    if let given = try images.normalization.normalization() {
      guard given.fits(channels: model.configuration.channels) else {
        throw usageError(
          "--mean and --std have \(given.mean.count) values, \(input) is for images of \(model.configuration.channels) channels")
      }
      description.normalization = given
    }
    description.evaluation = try evaluation(of: description)
    description.imageSize = imageSize.map { [$0, $0] } ?? description.imageSize
    try weights.write(model, description, to: output)
    Display.shared.finish()
    print(describe(model, output))
    if weights.description == nil { try describeImages(description) }
  }

  /// Returns the preparation of photographs for the network: that of the options, or else that of the weights.
  private func evaluation(of description: Weights.Description) throws -> EvaluationRecipe? {
    guard let size = imageSize.map({ [$0, $0] }) ?? description.imageSize else {
      guard let option = resizing.given.first else { return description.evaluation }
      throw usageError("\(option) needs --image-size: \(input) does not say how large its images are")
    }
    if size[0] != size[1], let option = resizing.given.first {
      throw usageError(
        "\(option): images of \(size[0])×\(size[1]) are not cut from photographs: leave it out, or add --image-size")
    }
    return try evaluationRecipe(
      resizing.recipe, completedBy: description.evaluation, trainedOn: description.imageSize?.first, crop: size[0])
  }

  /// Prints what was assumed or given about the images, as the weights do not say it.
  private func describeImages(_ description: Weights.Description) throws {
    guard let size = description.imageSize else { return }
    let manner =
      switch description.normalization {
      case nil: "in a way not known"
      case .imageNet: "as for torchvision's models"
      default: "as --mean and --std say"
      }
    var parts = ["its images are \(size[0])×\(size[1]) pixels", "normalized \(manner)"]
    if let recipe = description.evaluation {
      if let interpolation = recipe.interpolation { parts.insert("resized with \(interpolation) interpolation", at: 1) }
      if recipe.saysSize {
        parts.insert("the center of photographs whose shorter side has \(try recipe.transform(crop: size[0]).resize)", at: 1)
      }
    }
    print(parts.joined(separator: ", "))
  }

  /// Returns the default path of the checkpoint, beside the input.
  private func unusedOutput() throws -> String {
    let path = replacingExtension(of: input, by: "safetensors")
    if InputFile.exists(path) { throw usageError("\(path) is there already: add --output") }
    return path
  }
}

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a checkpoint for other programs.",
    usage: "resnet export [options] --output <file> <file>",
    discussion: """
      A path that ends in .safetensors gets only the tensors, with torchvision's names and layouts, so that PyTorch's \
      load_state_dict accepts them. A path that ends in .onnx gets the network as an ONNX model, with the input `input` \
      [batch,C,height,width] and the output `logits`. \(hiddenOptions)
      """
        + "\n\n"
        + examples(
          "resnet export runs/resnet18-folder --output flowers.onnx",
          "resnet export runs/resnet18-folder --output flowers.onnx --fold",
          "resnet export runs/resnet18-folder --output weights.safetensors"))

  /// Format that is written, chosen by the extension of the path.
  enum Format: String, CaseIterable {
    case safetensors, onnx

    init(path: String) throws {
      guard let format = Format.allCases.first(where: { path.hasSuffix(".\($0.rawValue)") }) else {
        let known = Format.allCases.map { ".\($0.rawValue)" }.joined(separator: ", ")
        throw ValidationError("--output '\(path)': the ending says what to write; known are \(known)")
      }
      self = format
    }
  }

  @Argument(
    help: ArgumentHelp("File with the weights, or the folder of a run.", valueName: "file"), completion: .weights)
  var checkpoint: String

  @OptionGroup(title: HelpGroup.model) var options: WeightsOptions

  @OptionGroup(title: HelpGroup.output) var files: ExportOutputOptions

  @OptionGroup(title: HelpGroup.output) var verbosity: VerbosityOptions

  /// Options of what `export` writes.
  struct ExportOutputOptions: ParsableArguments {
    @Option(
      help: ArgumentHelp("File to write.", valueName: "file"), completion: .file(extensions: ["onnx", "safetensors"]))
    var output: String

    @Flag(help: "Fold batch normalization into the convolutions (only for .onnx).")
    var fold = false
  }

  private var output: String { files.output }
  private var fold: Bool { files.fold }

  func validate() throws {
    try requirePaths(["<file>": checkpoint, "--output": output])
    if try Format(path: output) != .onnx && fold { throw ValidationError("--fold is for ONNX models: --output FILE.onnx") }
  }

  func run() throws {
    verbosity.begin()
    Display.shared.begin(.converting)
    let checkpoint = RunFolder.weights(at: checkpoint)
    let (weights, model) = try options.read(checkpoint)
    try about(checkpoint) { try model.store.check(weights.tensors) }
    try requireOther("--output", output, than: [checkpoint])
    switch try Format(path: output) {
    case .safetensors: try weights.write(model, nil, to: output)
    case .onnx:
      let description = try weights.description(as: model.configuration)
      try ONNXExport.write(weights.tensors, model, description, folding: fold, to: output)
    }
    Display.shared.finish()
    print(describe(model, output))
  }
}

/// Describes a model, for example `resnet50, 25,557,032 parameters, 1,000 classes, in weights.safetensors`.
private func describe(_ model: ResNet, _ path: String) -> String {
  let configuration = model.configuration
  return "\(configuration.name), \(grouped(model.store.parameterCount)) parameters, \(grouped(configuration.classes)) classes, "
    + "in \(path)"
}

/// Replaces the extension of a path: `a.b/c.pth` → `a.b/c.safetensors`.
private func replacingExtension(of path: String, by ending: String) -> String {
  let nameStart = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
  let name = path[nameStart...]
  let stem = name.dropFirst().lastIndex(of: ".").map { name[..<$0] } ?? name
  return "\(path[..<nameStart])\(stem).\(ending)"
}
