import Compute
import Datasets
import Images
import Support

/// Data set whose images are made on the host while the device trains, and sent to it as bytes, one batch at a time. These are
/// photographs that are decoded, or images in memory whose colors change.
public final class StreamedDataset: BatchSource {
  /// Number of images, including those that cannot be decoded.
  public var count: Int { images.count }
  private let images: any StreamedImages
  private let items: [ImageItem]
  private let crop: RandomResizedCrop?
  private let augmentation: Augmentation?
  private let backend: any Backend
  private let channelMap: Tensor
  private let precision: Precision
  private let onDamage: (Failure) -> Void
  /// Failures that were reported to ``onDamage`` already.
  private var named: Set<Failure> = []

  /// - Parameters:
  ///   - crop: random crops, whose size is that of the photographs; nil for none.
  ///   - augmentation: the other random changes of images; nil for images as they are evaluated.
  ///   - onDamage: called once for each image that cannot be decoded and is left out.
  /// - Throws: errors of the backend.
  public init(
    _ images: any StreamedImages, crop: RandomResizedCrop?, augmentation: Augmentation? = nil, precision: Precision = .fp32,
    on backend: any Backend, onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws {
    self.images = images
    self.crop = crop
    self.augmentation = augmentation
    self.backend = backend
    self.precision = precision
    self.onDamage = onDamage
    items = images.items
    channelMap = try backend.upload(images.normalization.channelMap)
  }

  public func load(_ plan: EpochPlan, batches: [Range<Int>], from first: Int) throws -> any LoadedEpoch {
    let order = plan.order
    let pipeline = try ImagePipeline(
      batches: batches.dropFirst(first).map { $0.map { items[order[$0]] } },
      loader: try images.loader(crop: crop, augmentation, seed: plan.seed, epoch: plan.epoch), damaged: images.damaged)
    return Epoch(self, plan, batches: batches, next: first, pipeline)
  }

  private final class Epoch: LoadedEpoch {
    let batches: [Range<Int>]
    var waited: Double { pipeline.counters.waited }
    private let dataset: StreamedDataset
    private let plan: EpochPlan
    private let pipeline: ImagePipeline
    private var next: Int

    init(_ dataset: StreamedDataset, _ plan: EpochPlan, batches: [Range<Int>], next: Int, _ pipeline: ImagePipeline) {
      self.dataset = dataset
      self.plan = plan
      self.batches = batches
      self.next = next
      self.pipeline = pipeline
    }

    func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor)? {
      precondition(index == next, "[StreamedDataset] batch \(index) asked for before \(next)")
      next += 1
      let begin = batches[index].lowerBound
      guard let sent = try pipeline.next({ try Sent(dataset.send($0, plan, begin)) }) else {
        throw Failure(.notFound, "no more images: loading them was cancelled")
      }
      return sent.batch
    }

    /// Batch that was sent to the device; nil if all its images are damaged.
    private struct Sent {
      let batch: (x: Tensor, labels: Tensor)?
      init(_ batch: (x: Tensor, labels: Tensor)?) { self.batch = batch }
    }
  }

  private func send(_ batch: ImagePipeline.Batch, _ plan: EpochPlan, _ begin: Int) throws -> (x: Tensor, labels: Tensor)? {
    for failure in batch.failures where named.insert(failure).inserted { onDamage(failure) }
    let count = batch.items.count
    guard count > 0 else { return nil }
    let shape: Shape = [count, images.shape[1], images.shape[2], images.shape[3]]
    let pixels = try backend.tensor(shape, .uint8)
    try backend.write(batch.pixels, to: pixels)
    let labels = try backend.upload(HostTensor(batch.items.map(\.label), shape: [count]))
    // The images are in order already. Gathering normalizes, erases and mixes them, and divides the batch among several devices.
    let rows = plan.rows(ofLoaded: batch.items.map(\.sample), batch: begin, height: shape[1], width: shape[2])
    return try backend.gather(
      try backend.uploadBatch(rows), of: pixels, labels, channelMap: channelMap, precision.storage(on: backend))
  }
}
