import Checkpoints
import Compute
import Datasets
import Images
import Models
import ONNX
import OpenCLBackend
import Support
import Training

/// A network on a device that tells what images show.
///
/// ```swift
/// let classifier = try ImageClassifier("flowers.safetensors")
/// for image in try classifier.classify(["rose.jpg", "tulip.png"]) {
///   print(image.path, image.best.name, image.best.probability)
/// }
/// ```
public final class ImageClassifier {
  /// A class that an image may show.
  public struct Candidate: Hashable, Sendable {
    /// The class's name, or its number where nothing names it.
    public let name: String
    /// The number of the network's output.
    public let label: Int
    /// The probability, 0 to 1.
    public let probability: Double
  }

  /// An image, and what the network takes it for.
  public struct Classification: Hashable, Sendable {
    /// The image's file.
    public let path: String
    /// The most probable classes, the most probable first; at least one.
    public let candidates: [Candidate]
    /// The most probable class.
    public var best: Candidate { candidates[0] }
  }

  /// The network as it was read.
  public let checkpoint: Checkpoint
  private let batchSize: Int
  private let precision: Precision
  private let classifier: any Classifier

  /// Puts a network on a device.
  /// - Parameters:
  ///   - checkpoint: the network.
  ///   - device: the place to compute.
  ///   - batchSize: images at once, at least 1.
  ///   - precision: the storage of activations.
  /// - Throws: ``Failure`` where the device is missing or too small, or does not store activations like that.
  public init(
    _ checkpoint: Checkpoint, on device: Device = .best, batchSize: Int = 32, precision: Precision = .fp32
  ) throws {
    (self.checkpoint, self.batchSize, self.precision) = (checkpoint, batchSize, precision)
    classifier = try checkpoint.classifier(
      on: device, images: try checkpoint.shape(ofBatch: batchSize), precision: precision)
  }

  /// Reads a checkpoint, `.pth` or ONNX file, and puts its network on a device.
  /// - Throws: ``Failure`` for a file that ``Checkpoint`` cannot read; what the other initializer throws.
  public convenience init(_ path: String, on device: Device = .best) throws {
    try self.init(try Checkpoint(path), on: device)
  }

  /// Class names in the order of the outputs; numbers where the file names none.
  public var classes: [String] { checkpoint.classes }

  /// Classifies image files. They are decoded by several threads, and brought to the network's size as in its training.
  /// - Parameters:
  ///   - paths: files, or folders whose images are meant, in any order.
  ///   - count: how many classes to tell of each image.
  ///   - normalization: the map from pixels to the network's input; nil for the checkpoint's own.
  ///   - damaged: whether an image that cannot be decoded is an error or is left out.
  /// - Returns: the images in the order of `paths`.
  /// - Throws: ``Failure`` for an image that cannot be read, and where the checkpoint does not tell how pixels are normalized.
  public func classify(
    _ paths: [String], top count: Int = 5, normalization: Normalization? = nil, damaged: DamagedImages = .fail
  ) throws -> [Classification] {
    let (files, images) = try checkpoint.images(paths, normalization, damaged)
    let loader = try BatchLoader(images, precision: precision, streams: true, on: classifier.backend)
    var found: [Classification] = []
    _ = try classifier.predict(loader, batchSize: batchSize, top: count) {
      for prediction in $0 {
        guard case .success(let classes) = prediction.classes else { continue }
        found.append(
          Classification(
            path: files[prediction.sample].path,
            candidates: classes.map { Candidate(name: self.classes[$0.label], label: $0.label, probability: $0.probability) }))
      }
    }
    return found
  }

  /// Classifies one image file; see ``classify(_:top:normalization:damaged:)``.
  public func classify(_ path: String, top count: Int = 5) throws -> Classification { try classify([path], top: count)[0] }
}

extension Checkpoint {
  /// Shape of batches [N,H,W,C] of the network's images.
  /// - Throws: ``Failure`` for a batch of no images.
  func shape(ofBatch size: Int) throws -> Shape {
    guard size > 0 else { throw Failure(.batchSize, size, "at least one image is needed") }
    return [size, imageSize.height, imageSize.width, channels]
  }

  /// Finds image files, and prepares them as in the network's training.
  /// - Parameter normalization: the map from pixels to the network's input; nil for the checkpoint's own.
  /// - Throws: ``Failure`` for a path without images, and where the checkpoint does not tell how pixels are normalized.
  func images(
    _ paths: [String], _ normalization: Normalization?, _ damaged: DamagedImages
  ) throws -> (files: [ImagePlace], images: PhotographDataset) {
    let (files, _) = try ImageFiles.find(paths)
    let images = try PhotographDataset(
      files, try preparation(), normalization: try normalization ?? knownNormalization(), damaged: damaged)
    return (files, images)
  }

  /// Puts the network on a device.
  /// - Parameters:
  ///   - images: the batches, [N,H,W,C].
  ///   - precision: the storage of activations.
  ///   - output: the layer whose results are the outputs.
  /// - Throws: ``Failure`` for what the network or the device cannot do; what the device throws.
  package func classifier(
    on device: Device, images: Shape, precision: Precision, output: ResNetClassifier.Output = .logits
  ) throws -> any Classifier {
    try device.require(precision)
    switch network {
    case .resNet(let weights, let model):
      let work = Work(model.configuration, images: images, TrainingOptions(precision: precision), isTraining: false)
      let backend = try device.open(for: work, triesDriver: false)
      try device.prepare(work, for: backend)
      return try about(path) {
        try ResNetClassifier(
          weights, model, classes: classes, normalization: normalization, output: output, on: backend)
      }
    case .onnx(var model):
      if output == .features { model = try model.withoutLastLayer() }
      if precision != .fp32 {
        throw Failure(
          .conflictingSetting, about: path, "ONNX models run in float32: leave \(Setting.precision, precision.rawValue) out")
      }
      if device.isSeveral {
        throw Failure(
          .conflictingSetting, about: path, "an ONNX model runs on one device, not several: \(Setting.device, device)")
      }
      // Before the device is opened, which may take a while.
      let work = Dictionary(
        try model.convolutions(images: images).map { ($0, Double($0.geometry.macs)) }, uniquingKeysWith: +)
      return try ONNXClassifier(model, on: try device.open(for: work))
    }
  }

  /// Checks that a data set fits the network.
  /// - Throws: ``Failure`` if its images or labels are not what the network is built for.
  package func check(_ dataset: some ImageSource, at place: String?) throws {
    let (found, known) = (dataset.shape[3], dataset.classes.count)
    if found != channels {
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

  /// - Throws: ``Failure`` where the file does not tell how pixels become the network's input.
  package func knownNormalization() throws -> Normalization {
    // Tensors were used as they were: how they had been made is not known.
    guard let normalization, dataset != DatasetKind.tensors.rawValue else {
      throw Failure(
        .mismatch, about: path, "it does not say how images are normalized: name \(Setting.normalization)")
    }
    return normalization
  }

  /// Returns the preparation of image files for the network's input size. It is that of training if the network was trained on
  /// photographs. Networks from elsewhere that take larger images get the usual preparation of photographs. All others were
  /// trained on whole small pictures, so whole images are resized for them.
  /// - Parameters:
  ///   - size: height and width; nil for ``imageSize``.
  ///   - given: how photographs are resized; nil for the checkpoint's own recipe.
  /// - Throws: ``Failure`` for a size that the network does not take, and for a recipe that is impossible with it.
  package func preparation(size: Int? = nil, _ given: EvaluationRecipe? = nil) throws -> ImagePreparation {
    if let size, isSizeFixed, imageSize != (size, size) {
      throw Failure(
        .mismatch, about: path,
        "\(name) takes images of \(imageSize.height)×\(imageSize.width) only, not \(Setting.imageSize, size)")
    }
    let (height, width) = size.map { ($0, $0) } ?? imageSize
    let isPhotographic = dataset.map { $0 == DatasetKind.folder.rawValue } ?? (min(height, width) >= Self.leastPhotograph)
    if height != width, let given, given.saysSize {
      throw Failure(
        .conflictingSetting, about: path, "\(name) takes images of \(height)×\(width), which are resized as a whole",
        remedy: "leave \(given.resize == nil ? Setting.cropFraction : .resize) out")
    }
    let recipe = try about(path) {
      try evaluationRecipe(given, completedBy: evaluation, trainedOn: imageSize.height, crop: height)
    }
    guard height == width, isPhotographic || recipe?.saysSize == true else {
      return .whole(WholeImageTransform(height: height, width: width, interpolation: recipe?.interpolation ?? .bilinear))
    }
    return .center(try (recipe ?? EvaluationRecipe()).transform(crop: height))
  }
}

/// Returns a recipe that is asked for, completed by the one that is known of a network.
/// - Parameters:
///   - given: the recipe that is asked for; nil for none.
///   - known: the recipe of the network's photographs; nil if it is not known.
///   - side: height of the network's training images; nil if it is not known.
///   - crop: side of the crop in pixels.
/// - Returns: the recipe; nil if there is neither.
/// - Throws: ``Failure`` for a recipe that is impossible with the crop.
package func evaluationRecipe(
  _ given: EvaluationRecipe?, completedBy known: EvaluationRecipe?, trainedOn side: Int?, crop: Int
) throws -> EvaluationRecipe? {
  let usual = known?.scaled(from: side ?? crop, to: crop)
  guard let recipe = given.map({ given in usual.map(given.completed) ?? given }) ?? usual else { return nil }
  do { _ = try recipe.transform(crop: crop) } catch let failure as Failure {
    guard let given, given.saysSize else { throw failure }
    throw Failure(.conflictingSetting, "\(given.resize == nil ? Setting.cropFraction : .resize): \(failure)")
  }
  return recipe
}
