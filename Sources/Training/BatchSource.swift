import Compute
import Datasets
import Images
import Support

/// Source of the batches for training and evaluation.
public protocol BatchSource: AnyObject {
  /// Number of images.
  var count: Int { get }

  /// Prepares one epoch.
  /// - Parameters:
  ///   - batches: ranges of the plan's rows, one for each batch.
  ///   - first: index of the first batch that will be requested; the batches before it are not needed.
  func load(_ plan: EpochPlan, batches: [Range<Int>], from first: Int) throws -> any LoadedEpoch
}

/// Epoch that is ready to run.
public protocol LoadedEpoch: AnyObject {
  var batches: [Range<Int>] { get }
  /// Seconds for which ``batch(_:)`` has waited for images to be decoded.
  var waited: Double { get }

  /// Returns one batch: normalized x [N,H,W,C], and labels int32 [N], or [N,3] for mixed images, as
  /// ``Backend/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)`` takes them. Batches are requested in order.
  ///
  /// N is smaller than the range's count if damaged images are left out. The batch is nil if all its images are damaged.
  func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor)?
}

extension LoadedEpoch {
  public var waited: Double { 0 }
}

/// Makes a batch source: either the whole data set in device memory, or a stream of batches to the device.
/// - Parameters:
///   - crop: random crops of photographs; nil for none.
///   - augmentation: random changes of images in addition to those in the plan; nil for images as they are evaluated.
///   - onDamage: called once for each image that cannot be decoded and is left out.
/// - Throws: errors of the backend, for example if the images do not fit into its memory.
public func batchSource(
  of images: any LabeledImages, crop: RandomResizedCrop? = nil, augmentation: Augmentation? = nil, precision: Precision = .fp32,
  on backend: any Backend,
  onDamage: @escaping (Failure) -> Void = { _ in }
) throws -> any BatchSource {
  if let dataset = images as? Dataset, !isStreamed(images, augmentation) {
    return try DeviceDataset(dataset, precision: precision, on: backend)
  }
  guard let streamed = images as? any StreamedImages else {
    throw Failure(
      .unsupported, "the data set '\(images.name)' is of a kind that cannot be trained on: \(type(of: images))")
  }
  return try StreamedDataset(
    streamed, crop: crop, augmentation: augmentation, precision: precision, on: backend, onDamage: onDamage)
}

/// Whether the host makes the images and sends them batch by batch: photographs, and images whose colors change.
private func isStreamed(_ images: any LabeledImages, _ augmentation: Augmentation?) -> Bool {
  !(images is Dataset) || augmentation?.changesPixels == true
}

/// Returns the number of bytes that a data set takes on the device, not counting the normalized batches.
func bytesOnDevice(_ images: any LabeledImages, _ augmentation: Augmentation? = nil, batchSize: Int) -> Int {
  if let dataset = images as? Dataset, !isStreamed(images, augmentation) { return dataset.images.bytes.count }
  return batchSize * images.shape[1] * images.shape[2] * images.shape[3]
}
