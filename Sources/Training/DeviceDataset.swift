import Compute
import Datasets

/// A data set in a backend's memory, from which batches are gathered without the host, whose copy may go.
public final class DeviceDataset: BatchSource {
  /// The number of images.
  public let count: Int
  private let backend: any Backend
  private let images, labels, channelMap: Tensor
  /// How batches are stored.
  private let precision: Precision

  /// - Parameter precision: how batches are stored, and with them all activations of the network that they go through.
  /// - Throws: what the backend throws, for example where the images do not fit into its memory.
  public init(_ dataset: Dataset, precision: Precision = .fp32, on backend: any Backend) throws {
    count = dataset.count
    self.precision = precision
    self.backend = backend
    images = try backend.upload(dataset.images)
    labels = try backend.upload(dataset.labels)
    channelMap = try backend.upload(dataset.normalization.channelMap)
  }

  /// One epoch's plan on the device, so that a step sends nothing.
  public func load(_ plan: EpochPlan, batches: [Range<Int>], from first: Int = 0) throws -> any LoadedEpoch {
    Epoch(self, batches: batches, rows: try batches.map { try backend.uploadBatch(plan.rows($0)) })
  }

  /// An epoch's rows in device memory, a tensor a batch.
  private final class Epoch: LoadedEpoch {
    let batches: [Range<Int>]
    private let dataset: DeviceDataset
    /// int32 [N,4] each.
    private let rows: [Tensor]

    init(_ dataset: DeviceDataset, batches: [Range<Int>], rows: [Tensor]) {
      self.dataset = dataset
      self.batches = batches
      self.rows = rows
    }

    func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor) { try dataset.gather(rows[index]) }
  }

  /// Gathers one batch: x [N,H,W,C] normalised, labels int32 [N].
  private func gather(_ rows: Tensor) throws -> (x: Tensor, labels: Tensor) {
    let (count, shape) = (rows.shape[0], images.shape)
    let x = try backend.batchTensor([count, shape[1], shape[2], shape[3]], precision.storage(on: backend))
    let batchLabels = try backend.batchTensor([count], .int32)
    try backend.gatherBatch(
      images: images, labels: labels, plan: rows, channelMap: channelMap, into: x, batchLabels: batchLabels)
    return (x, batchLabels)
  }
}
