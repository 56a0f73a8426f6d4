import Compute
import Datasets
import Images

/// Photographs that are decoded on the host while the device trains, and sent to it as bytes, a batch at a time.
public final class StreamedDataset: BatchSource {
  public var count: Int { photographs.count }
  private let photographs: PhotographDataset
  private let crop: RandomResizedCrop?
  private let backend: any Backend
  private let channelMap: Tensor
  private let precision: Precision
  private let onDamage: (Failure) -> Void

  /// - Parameters:
  ///   - crop: the random crops, of the photographs' image size; nil for their centres.
  ///   - onDamage: told of images that cannot be decoded and are left out.
  /// - Throws: what the backend throws.
  public init(
    _ photographs: PhotographDataset, crop: RandomResizedCrop?, precision: Precision = .fp32, on backend: any Backend,
    onDamage: @escaping (Failure) -> Void = { _ in }
  ) throws {
    precondition(crop.map { $0.size == photographs.imageSize } ?? true, "[StreamedDataset] crops of \(crop?.size ?? 0) pixels")
    self.photographs = photographs
    self.crop = crop
    self.backend = backend
    self.precision = precision
    self.onDamage = onDamage
    channelMap = try backend.upload(photographs.normalization.channelMap)
  }

  public func load(_ plan: EpochPlan, batches: [Range<Int>], from first: Int) throws -> any LoadedEpoch {
    let order = plan.order
    let transform: any ImageTransform =
      crop.map { TrainingTransform($0, seed: plan.seed, epoch: plan.epoch) }
      ?? EvaluationTransform.usual(crop: photographs.imageSize)
    let pipeline = try ImagePipeline(
      batches: batches.dropFirst(first).map { $0.map { photographs.items[order[$0]] } }, transform: transform,
      damaged: photographs.damaged)
    return Epoch(self, batches: batches, next: first, pipeline)
  }

  private final class Epoch: LoadedEpoch {
    let batches: [Range<Int>]
    var waited: Double { pipeline.counters.waited }
    private let dataset: StreamedDataset
    private let pipeline: ImagePipeline
    private var next: Int

    init(_ dataset: StreamedDataset, batches: [Range<Int>], next: Int, _ pipeline: ImagePipeline) {
      self.dataset = dataset
      self.batches = batches
      self.next = next
      self.pipeline = pipeline
    }

    func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor) {
      precondition(index == next, "[StreamedDataset] batch \(index) asked for before \(next)")
      next += 1
      guard let batch = try pipeline.next(dataset.send) else { throw Failure("no more images: loading them was cancelled") }
      return batch
    }
  }

  private func send(_ batch: ImagePipeline.Batch) throws -> (x: Tensor, labels: Tensor) {
    batch.failures.forEach(onDamage)
    let (count, size) = (batch.items.count, photographs.imageSize)
    guard count > 0 else {
      throw Failure(
        "none of the \(batch.failures.count) images of a batch can be decoded: mend them, or use a larger --batch-size")
    }
    let images = try backend.tensor([count, size, size, 3], .uint8)
    try backend.write(batch.pixels, to: images)
    let labels = try backend.upload(HostTensor(batch.items.map(\.label), shape: [count]))
    // The gathering kernel with nothing to gather: it normalises, and shares the batch out among several devices.
    let rows = try backend.uploadBatch(EpochPlan(inOrder: count).rows)
    let x = try backend.batchTensor([count, size, size, 3], precision.storage(on: backend))
    let batchLabels = try backend.batchTensor([count], .int32)
    try backend.gatherBatch(
      images: images, labels: labels, plan: rows, channelMap: channelMap, into: x, batchLabels: batchLabels)
    return (x, batchLabels)
  }
}
