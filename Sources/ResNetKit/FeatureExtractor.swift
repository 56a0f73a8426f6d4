import Checkpoints
import Compute
import Datasets
import Formats
import Images
import Models
import Support
import Training

/// A network on a device without its last layer. It turns images into features: vectors that are near each other for images
/// that look alike.
///
/// ```swift
/// let extractor = try FeatureExtractor(try Checkpoint("flowers.safetensors"))
/// for image in try extractor.features(of: ["rose.jpg", "tulip.png"]) { print(image.path, image.features.count) }
/// ```
public final class FeatureExtractor {
  /// The network as it was read.
  public let checkpoint: Checkpoint
  private let batchSize: Int
  private let precision: Precision
  private let network: any Classifier
  private let preparation: ImagePreparation
  private let normalization: Normalization

  /// Number of features of an image, F.
  public var count: Int { network.classes.count }

  /// Puts a network on a device.
  /// - Parameters:
  ///   - checkpoint: the network.
  ///   - device: the place to compute.
  ///   - batchSize: images at once, at least 1.
  ///   - precision: the storage of activations; features are float32.
  ///   - normalization: the map from pixels to the network's input; nil for the checkpoint's own.
  /// - Throws: ``Failure`` where the device is missing or too small, where an ONNX model does not end with a fully connected
  ///   layer, and where the checkpoint does not tell how pixels are normalized.
  public convenience init(
    _ checkpoint: Checkpoint, on device: Device = .best, batchSize: Int = 32, precision: Precision = .fp32,
    normalization: Normalization? = nil
  ) throws {
    guard batchSize > 0 else { throw Failure(.batchSize, batchSize, "at least one image is needed") }
    try self.init(
      checkpoint, on: device, batchSize: batchSize, precision: precision,
      normalization: try normalization ?? checkpoint.knownNormalization(), preparation: try checkpoint.preparation())
  }

  package init(
    _ checkpoint: Checkpoint, on device: Device, batchSize: Int, precision: Precision, normalization: Normalization,
    preparation: ImagePreparation
  ) throws {
    (self.checkpoint, self.batchSize, self.precision) = (checkpoint, batchSize, precision)
    (self.normalization, self.preparation) = (normalization, preparation)
    let transform = preparation.transform
    network = try checkpoint.classifier(
      on: device, images: [batchSize, transform.height, transform.width, checkpoint.channels], precision: precision,
      output: .features)
  }

  /// Computes the features of image files.
  /// - Parameters:
  ///   - paths: files, or folders whose images are meant, in any order.
  ///   - damaged: whether an image that cannot be decoded is an error or is left out.
  /// - Returns: the images in the order of `paths`, with ``count`` features each.
  /// - Throws: ``Failure`` for an image that cannot be read; what the device throws.
  public func features(of paths: [String], damaged: DamagedImages = .fail) throws -> [(path: String, features: [Float])] {
    let (images, _) = try ImageFiles.find(paths)
    var found: [(path: String, features: [Float])] = []
    _ = try forEach(of: images, damaged: damaged) { image, result in
      if case .success(let features) = result { found.append((image.path, Array(features))) }
    }
    return found
  }

  /// Calls `body` with each image in order, and with its features or the reason why it cannot be decoded.
  /// - Parameter progress: called after each batch with the number of images done; returns false to stop early.
  /// - Returns: false if `progress` stopped the work.
  /// - Throws: ``Failure`` for an image that cannot be read; any error of `body`; what the device throws.
  package func forEach(
    of images: [ImagePlace], damaged: DamagedImages = .skip, progress: (Int) throws -> Bool = { _ in true },
    _ body: (ImagePlace, Result<ArraySlice<Float>, Failure>) throws -> Void
  ) throws -> Bool {
    let source = try PhotographDataset(images, preparation, normalization: normalization, damaged: damaged)
    let loader = try BatchLoader(source, precision: precision, streams: true, on: network.backend)
    return try network.outputs(ofEach: loader, batchSize: batchSize, progress: progress) { item, result in
      try body(images[item.sample], result)
    }
  }
}
