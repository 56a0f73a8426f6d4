import ArgumentParser
import Compute
import Datasets
import Images
import Models
import ONNX
import Support
import Training

/// Option `--checkpoint` and its companions, for the commands that run a network.
struct CheckpointOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Weights (a safetensors file or a checkpoint of torch.save), or an ONNX model.", valueName: "file"))
  var checkpoint: String

  @OptionGroup(title: "Model") var options: WeightsOptions

  func validate() throws { try requirePaths(["--checkpoint": checkpoint]) }

  func read() throws -> Checkpoint { try Checkpoint(checkpoint, options) }
}

/// Network in a file, which is read but not on a device yet. Only this type distinguishes the formats of networks.
struct Checkpoint {
  private enum Network {
    case resNet(Weights, ResNet)
    case onnx(ONNXModel)
  }

  /// Least height and width at which networks from elsewhere are assumed to be made for photographs.
  private static let leastPhotograph = 64

  let path: String
  /// Name of the network in messages.
  let name: String
  /// Number of channels of the images.
  let channels: Int
  /// Class names in the order of the outputs; numbers if the file names no classes.
  let classes: [String]
  /// Whether the file names the classes.
  let namesClasses: Bool
  /// Normalization of the pixels for the network's input; nil if it is not known.
  let normalization: Normalization?
  /// Data set that the network was trained on; nil for networks from elsewhere.
  let dataset: String?
  /// Whether the file says the size and the normalization of the images.
  let tellsImages: Bool
  /// Preparation of photographs for the network; nil if it is not known.
  let evaluation: EvaluationRecipe?
  /// Height and width of the images that the network is meant for; `isSizeFixed` is whether it takes no others.
  let imageSize: (height: Int, width: Int)
  let isSizeFixed: Bool
  private let network: Network

  /// Reads a file.
  /// - Throws: ``Failure`` if the file is damaged; a usage error if `--model` is needed.
  init(_ path: String, _ options: WeightsOptions) throws {
    self.path = path
    if try ONNXModel.isModel(path) {
      if options.model != nil {
        throw usageError("\(path) is an ONNX model, which says itself what network it is: leave \(Setting.model) out")
      }
      if let option = options.place.given.first {
        throw usageError("\(path) is an ONNX model, which holds one network's weights: leave \(option) out")
      }
      let model = try ONNXModel(contentsOf: path)
      let known = try model.description()
      let size = known.training?.imageSize.map { ($0[0], $0[1]) }
      (name, channels, classes, namesClasses) = (known.name, known.channels, known.classes, known.namesClasses)
      (normalization, dataset) = (known.training?.normalization, known.training?.dataset)
      (imageSize, isSizeFixed) = (known.fixedSize ?? size ?? (224, 224), known.fixedSize != nil)
      tellsImages = known.training != nil
      evaluation = known.training?.evaluation
      network = .onnx(model)
      return
    }
    let (weights, model) = try options.read(path)
    try about(path) { try model.store.check(weights.tensors) }
    let configuration = model.configuration
    let known = try weights.description(as: configuration)
    let usual = try ModelConfiguration.usualInput(of: configuration.name).side
    (name, channels) = (configuration.name, configuration.channels)
    (normalization, dataset) = (known.normalization, known.dataset)
    classes = known.classes ?? (0..<configuration.classes).map(String.init)
    namesClasses = known.classes != nil
    imageSize = known.imageSize.map { ($0[0], $0[1]) } ?? (usual, usual)
    isSizeFixed = false
    tellsImages = weights.description != nil
    evaluation = known.evaluation
    network = .resNet(weights, model)
  }

  /// Opens the device and puts the network on it.
  /// - Parameters:
  ///   - tuning: option `--tune`; nil for the choices in the user's cache.
  ///   - images: shape of the batches, [N,H,W,C].
  /// - Throws: an exit code after a signal; errors of the device.
  func classifier(
    on device: DeviceOption, _ tuning: TuneOption? = nil, images: Shape, precision: Precision
  ) throws -> any Classifier {
    switch network {
    case .resNet(let weights, let model):
      let configuration = model.configuration
      let sharing = Sharing(configuration: configuration, images: images, precision: precision, isTraining: false)
      let job = KernelJob(configuration, images: images, TrainingOptions(precision: precision), training: false)
      let backend =
        try tuning?.backend(device, sharing: sharing, buildsSample: false) {
          try convolutions(of: configuration, images: images, precision: precision, training: false)
        } ?? device.backend(sharing: sharing, buildsSample: false)
      try device.buildKernels(of: job, for: backend, isTuned: tuning?.isTuned ?? true)
      if Signals.pending != nil { throw Signals.exitCode }
      return try about(path) {
        try ResNetClassifier(weights, model, classes: classes, normalization: normalization, on: backend)
      }
    case .onnx(let model): return try classifier(model, on: device, tuning, images: images, precision: precision)
    }
  }

  private func classifier(
    _ model: ONNXModel, on device: DeviceOption, _ tuning: TuneOption?, images: Shape, precision: Precision
  ) throws -> any Classifier {
    if precision != .fp32 {
      throw usageError("\(path): ONNX models run in float32: leave \(Setting.precision, precision.rawValue) out")
    }
    if device.isSeveral {
      throw usageError("\(path): an ONNX model runs on one device, not several: \(Setting.device, device.device)")
    }
    // The convolutions are listed before the device is opened, which may take a while.
    let work = try model.convolutions(images: images)
    let backend =
      try tuning?.backend(device, sharing: nil) {
        Dictionary(work.map { ($0, Double($0.geometry.macs)) }, uniquingKeysWith: +)
      } ?? device.backend()
    if Signals.pending != nil { throw Signals.exitCode }
    return try ONNXClassifier(model, on: backend)
  }

  /// Returns the preparation of image files for the network's input size. It is that of training if the network was trained on
  /// photographs. Networks from elsewhere that take larger images get the usual preparation of photographs. All others were
  /// trained on whole small pictures, so whole images are resized for them.
  /// - Parameters:
  ///   - size: height and width, if others than ``imageSize`` are asked for.
  ///   - options: options for resizing photographs. If any are given, they decide whether the center is cut out.
  /// - Throws: ``Failure`` if the network does not take the size; a usage error if the options are impossible with it.
  func preparation(size: Int?, _ options: ResizeOptions) throws -> ImagePreparation {
    if let size, isSizeFixed, imageSize != (size, size) {
      throw Failure(
        .invalidSetting, about: path,
        "\(name) takes images of \(imageSize.height)×\(imageSize.width) only, not \(Setting.imageSize, size)")
    }
    let (height, width) = size.map { ($0, $0) } ?? imageSize
    let isPhotographic = dataset.map { $0 == DatasetKind.folder.rawValue } ?? (min(height, width) >= Self.leastPhotograph)
    if height != width, options.resize != nil || options.cropFraction != nil {
      throw usageError(
        "\(path): \(name) takes images of \(height)×\(width), which are resized as a whole: leave \(options.given ?? "") out")
    }
    let known = try about(path) {
      try options.recipe(completedBy: evaluation, trainedOn: [imageSize.height], crop: height)
    }
    let recipe = known ?? EvaluationRecipe()
    guard height == width, isPhotographic || recipe.saysSize else {
      return .whole(
        WholeImageTransform(height: height, width: width, interpolation: recipe.interpolation ?? .bilinear))
    }
    return .centre(try recipe.transform(crop: height))
  }

  /// Checks that a data set fits the network.
  /// - Throws: ``Failure`` if its images or labels are not what the network is built for.
  func check(_ dataset: some LabelledImages, at place: String?) throws {
    let (found, known) = (dataset.shape[3], dataset.classes.count)
    // Photographs become gray for a network of one channel.
    if found != channels, !(dataset is PhotographDataset && channels == 1) {
      throw Failure(
        .mismatch, about: path,
        "\(name) is built for images of \(channels) channels, those of \(dataset.name) have \(found)")
    }
    // Tensors name no classes: their number follows from the largest label, so the network may have more.
    let isOpen = dataset.name == DatasetKind.tensors.rawValue
    if isOpen ? known > classes.count : known != classes.count {
      throw Failure(
        .mismatch, about: path,
        "\(name) is built for \(classes.count) classes, \(place ?? dataset.name) has \(known)",
        remedy: "for others it is to be trained again, by resnet train \(Setting.initialWeights)")
    }
  }
}
