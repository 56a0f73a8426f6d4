import Checkpoints
import Compute
import Datasets
import Images
import Models
import Support
import Training

/// A network on a device that shows which parts of images speak for a class, by Grad-CAM; see ``GradCAM``.
///
/// ```swift
/// let explainer = try ImageExplainer(try Checkpoint("flowers.safetensors"))
/// for image in try explainer.explain(["rose.jpg", "tulip.png"]) {
///   print(image.name, image.explanation.probability, image.explanation.heat.values)
///   try image.explanation.blended.writePNG(to: "\(image.name).png")
/// }
/// ```
public final class ImageExplainer {
  /// An image with what speaks for one of its classes.
  public struct ExplainedImage: Sendable {
    /// The image's file.
    public let path: String
    /// Name of the class that is explained.
    public let name: String
    /// The class's number and probability, the map, and the image as the network sees it.
    public let explanation: Explanation
  }

  /// The network as it was read.
  public let checkpoint: Checkpoint
  private let batchSize: Int
  private let precision: Precision
  private let classifier: ResNetClassifier

  /// Puts a network on a device.
  /// - Parameters:
  ///   - checkpoint: the network.
  ///   - device: the place to compute.
  ///   - batchSize: images at once, at least 1.
  ///   - precision: the storage of activations.
  /// - Throws: ``Failure`` for an ONNX model, whose operations have no gradients here, and where the device is missing or too
  ///   small, or does not store activations like that.
  public init(
    _ checkpoint: Checkpoint, on device: Device = .best, batchSize: Int = 32, precision: Precision = .fp32
  ) throws {
    (self.checkpoint, self.batchSize, self.precision) = (checkpoint, batchSize, precision)
    classifier = try checkpoint.differentiableClassifier(
      on: device, images: try checkpoint.shape(ofBatch: batchSize), precision: precision)
  }

  /// Explains image files. They are prepared as by ``ImageClassifier/classify(_:top:normalization:damaged:)``.
  /// - Parameters:
  ///   - paths: files, or folders whose images are meant, in any order.
  ///   - name: name of the class to explain; nil for the most probable one of each image.
  ///   - normalization: the map from pixels to the network's input; nil for the checkpoint's own.
  ///   - damaged: whether an image that cannot be decoded is an error or is left out.
  /// - Returns: the images in the order of `paths`.
  /// - Throws: ``Failure`` for an image that cannot be read, for an unknown class, and where the checkpoint does not tell how
  ///   pixels are normalized.
  public func explain(
    _ paths: [String], class name: String? = nil, normalization: Normalization? = nil, damaged: DamagedImages = .fail
  ) throws -> [ExplainedImage] {
    let label = try name.map { try checkpoint.label(of: $0, among: checkpoint.classes) }
    let (files, images) = try checkpoint.images(paths, normalization, damaged)
    let loader = try BatchLoader(images, precision: precision, streams: true, on: classifier.backend)
    var found: [ExplainedImage] = []
    _ = try classifier.explain(loader, batchSize: batchSize, top: 1, label: label) { prediction, explanation in
      guard let explanation else { return }
      found.append(
        ExplainedImage(
          path: files[prediction.sample].path, name: checkpoint.classes[explanation.label], explanation: explanation))
    }
    return found
  }
}

extension Checkpoint {
  /// Puts the network on a device, where gradients of its activations can be computed.
  /// - Throws: ``Failure`` for an ONNX model; otherwise as ``classifier(on:images:precision:output:)``.
  package func differentiableClassifier(
    on device: Device, images: Shape, precision: Precision
  ) throws -> ResNetClassifier {
    try requireWeights()
    let classifier = try classifier(on: device, images: images, precision: precision)
    guard let classifier = classifier as? ResNetClassifier else { preconditionFailure("[Checkpoint] \(name) has no weights") }
    return classifier
  }

  /// Checks that the file holds weights of a network that is known here.
  /// - Throws: ``Failure`` for an ONNX model.
  package func requireWeights() throws {
    guard case .resNet = network else {
      throw Failure(
        .unsupported, about: path, "an ONNX model runs forward only, and this needs gradients or other weights",
        remedy: "name the checkpoint or the weights that it was made of")
    }
  }

  /// Returns the number of a class.
  /// - Parameter names: names of all classes.
  /// - Throws: ``Failure`` if no class or several have the name. It suggests the nearest one.
  package func label(of name: String, among names: [String]) throws -> Int {
    let found = names.indices.filter { Name(names[$0]) == Name(name) }
    if found.count == 1 { return found[0] }
    if found.isEmpty, let place = places(of: [name], in: names)[0] { return place }
    guard found.isEmpty else {
      throw Failure(.mismatch, about: path, "\(grouped(found.count)) classes are called '\(shortened(name))'")
    }
    let hint = nearest(to: name, among: names).map { "; the nearest is \(shortened($0))" } ?? ""
    throw Failure(.notFound, about: path, "no class is called '\(shortened(name))'\(hint): there are \(listed(names))")
  }
}
