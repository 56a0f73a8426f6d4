import ArgumentParser
import Compute
import Datasets
import Images
import Models
import ONNX
import Training

/// `--checkpoint`, of the commands that run a network.
struct CheckpointOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The weights, a safetensors file or a checkpoint of torch.save; or an ONNX model.", valueName: "file"))
  var checkpoint: String

  @OptionGroup(title: "Model") var options: WeightsOptions

  func validate() throws { try requirePaths(["--checkpoint": checkpoint]) }

  func read() throws -> Checkpoint { try Checkpoint(checkpoint, options) }
}

/// A network in a file, read but not on a device yet. Formats of networks are told apart here and nowhere else.
struct Checkpoint {
  private enum Network {
    case resNet(Weights, ResNet)
    case onnx(ONNXModel)
  }

  /// Height and width from which on networks from elsewhere are taken to be made for photographs.
  private static let leastPhotograph = 64

  let path: String
  /// What messages call the network.
  let name: String
  /// Channels of the images.
  let channels: Int
  /// In the order of the outputs; numbers where the file names none.
  let classes: [String]
  /// Whether the file names them.
  let namesClasses: Bool
  /// How pixels become the network's input; nil where it is not known.
  let normalization: Normalization?
  /// The data set that it was trained on; nil for networks from elsewhere.
  let dataset: String?
  /// Whether the file itself tells size and normalisation of the images.
  let tellsImages: Bool
  /// Preparation of photographs for it; nil where that is not known.
  let evaluation: EvaluationRecipe?
  /// Height and width of the images that it is meant for, and whether it takes no others.
  let imageSize: (height: Int, width: Int)
  let isSizeFixed: Bool
  private let network: Network

  /// Reads a file.
  /// - Throws: ``Failure`` for a file that is damaged; a usage error where `--model` is needed.
  init(_ path: String, _ options: WeightsOptions) throws {
    self.path = path
    if try ONNXModel.isModel(path) {
      if options.model != nil {
        throw usageError("\(path) is an ONNX model, which says itself what network it is: leave --model out")
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
  ///   - tuning: nil for what the user's cache knows.
  ///   - images: the batches [N,H,W,C].
  /// - Throws: an exit code after a signal; what the device throws.
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
    if precision != .fp32 { throw usageError("\(path): ONNX models run in float32: leave --precision \(precision) out") }
    if device.isSeveral { throw usageError("\(path): an ONNX model runs on one device, not several: --device \(device.device)") }
    // Before the device is opened, which may take a while.
    let work = try model.convolutions(images: images)
    let backend =
      try tuning?.backend(device, sharing: nil) {
        Dictionary(work.map { ($0, Double($0.geometry.macs)) }, uniquingKeysWith: +)
      } ?? device.backend()
    if Signals.pending != nil { throw Signals.exitCode }
    return try ONNXClassifier(model, on: backend)
  }

  /// How image files come to the size that the network takes: as in training where that was on photographs, and as usual with
  /// these for networks from elsewhere that take larger images; small pictures were seen whole.
  /// - Parameters:
  ///   - size: height and width, where others than ``imageSize`` are asked for.
  ///   - options: how photographs are resized, where that is asked for: whether their center is cut out then follows from it.
  /// - Throws: ``Failure`` for a size that the network does not take; a usage error for options that are impossible with it.
  func preparation(size: Int?, _ options: ResizeOptions) throws -> ImagePreparation {
    if let size, isSizeFixed, imageSize != (size, size) {
      throw Failure("\(path): \(name) takes images of \(imageSize.height)×\(imageSize.width) only, not --image-size \(size)")
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

  /// - Throws: ``Failure`` where a data set's images or labels are not what the network is built for.
  func check(_ dataset: some LabelledImages, at place: String?) throws {
    let (found, known) = (dataset.shape[3], dataset.classes.count)
    // Photographs become grey where the network wants them so.
    if found != channels, !(dataset is PhotographDataset && channels == 1) {
      throw Failure("\(path): \(name) is built for images of \(channels) channels, those of \(dataset.name) have \(found)")
    }
    // Tensors name no classes: there are as many as the largest label says.
    let isOpen = dataset.name == DatasetKind.tensors.rawValue
    if isOpen ? known > classes.count : known != classes.count {
      throw Failure(
        "\(path): \(name) is built for \(classes.count) classes, \(place ?? dataset.name) has \(known): for others it is to be trained "
          + "again, by resnet train --init")
    }
  }
}
