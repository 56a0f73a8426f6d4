import Compute
import Datasets
import Images

/// Where training and evaluation get their batches from.
public protocol BatchSource: AnyObject {
  /// The number of images.
  var count: Int { get }

  /// Prepares one epoch.
  /// - Parameters:
  ///   - batches: ranges of the plan's rows.
  ///   - first: the batch that is asked for first; those before it are not needed.
  func load(_ plan: EpochPlan, batches: [Range<Int>], from first: Int) throws -> any LoadedEpoch
}

/// One epoch that is ready to run.
public protocol LoadedEpoch: AnyObject {
  var batches: [Range<Int>] { get }
  /// Seconds that ``batch(_:)`` has waited for images to be decoded.
  var waited: Double { get }

  /// One batch: x [N,H,W,C] normalised, labels int32 [N], or [N,3] of mixed images as
  /// ``Backend/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)`` takes them. They are asked for in order. N is below the
  /// range's count where images are damaged and left out; nil where all are.
  func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor)?
}

extension LoadedEpoch {
  public var waited: Double { 0 }
}

/// On the device as a whole, or a stream to it.
/// - Parameters:
///   - crop: the random crops of photographs; nil for none.
///   - augmentation: what is done to images by chance besides what the plan says; nil for images as they are measured on.
///   - onDamage: told once of each of the images that cannot be decoded and are left out.
/// - Throws: what the backend throws, for example where the images do not fit into its memory.
public func batchSource(
  of images: any LabelledImages, crop: RandomResizedCrop? = nil, augmentation: Augmentation? = nil, precision: Precision = .fp32,
  on backend: any Backend,
  onDamage: @escaping (Failure) -> Void = { _ in }
) throws -> any BatchSource {
  if let dataset = images as? Dataset, !isStreamed(images, augmentation) {
    return try DeviceDataset(dataset, precision: precision, on: backend)
  }
  guard let streamed = images as? any StreamedImages else {
    throw Failure("the data set '\(images.name)' is of a kind that cannot be trained on: \(type(of: images))")
  }
  return try StreamedDataset(
    streamed, crop: crop, augmentation: augmentation, precision: precision, on: backend, onDamage: onDamage)
}

/// Whether images go to the device batch by batch, made on the host: photographs, and whatever changes colour.
private func isStreamed(_ images: any LabelledImages, _ augmentation: Augmentation?) -> Bool {
  !(images is Dataset) || augmentation?.changesPixels == true
}

/// Bytes that a data set takes on the device besides the batches that are normalised already.
func bytesOnDevice(_ images: any LabelledImages, _ augmentation: Augmentation? = nil, batchSize: Int) -> Int {
  if let dataset = images as? Dataset, !isStreamed(images, augmentation) { return dataset.images.bytes.count }
  return batchSize * images.shape[1] * images.shape[2] * images.shape[3]
}
