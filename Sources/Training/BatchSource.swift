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

  /// One batch: x [N,H,W,C] normalised, labels int32 [N]. They are asked for in order. N is below the range's count where images are
  /// damaged and left out.
  func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor)
}

extension LoadedEpoch {
  public var waited: Double { 0 }
}

/// On the device as a whole, or a stream to it.
/// - Parameters:
///   - crop: the random crops of photographs; nil for their centres.
///   - onDamage: told of images that cannot be decoded and are left out.
/// - Throws: what the backend throws, for example where the images do not fit into its memory.
public func batchSource(
  of images: any LabelledImages, crop: RandomResizedCrop? = nil, precision: Precision = .fp32, on backend: any Backend,
  onDamage: @escaping (Failure) -> Void = { _ in }
) throws -> any BatchSource {
  switch images {
  case let dataset as Dataset: return try DeviceDataset(dataset, precision: precision, on: backend)
  case let photographs as PhotographDataset:
    return try StreamedDataset(photographs, crop: crop, precision: precision, on: backend, onDamage: onDamage)
  default: throw Failure("the data set '\(images.name)' is of a kind that cannot be trained on: \(type(of: images))")
  }
}

/// Bytes that a data set takes on the device besides the batches that are normalised already.
func bytesOnDevice(_ images: any LabelledImages, batchSize: Int) -> Int {
  if let dataset = images as? Dataset { return dataset.images.bytes.count }
  return batchSize * images.shape[1] * images.shape[2] * images.shape[3]
}
