import Compute
import Datasets

/// A data set in a backend's memory, from which batches are gathered without the host, whose copy may go.
public final class DeviceDataset {
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
  public func load(_ plan: EpochPlan, batches: [Range<Int>]) throws -> LoadedPlan {
    try LoadedPlan(plan, batches: batches, on: backend)
  }

  /// Gathers one batch: x [N,H,W,C] normalised, labels int32 [N].
  public func batch(_ index: Int, of plan: LoadedPlan) throws -> (x: Tensor, labels: Tensor) {
    let count = plan.batches[index].count
    let shape = images.shape
    let x = try backend.batchTensor([count, shape[1], shape[2], shape[3]], precision.storage(on: backend))
    let batchLabels = try backend.batchTensor([count], .int32)
    try backend.gatherBatch(
      images: images, labels: labels, plan: plan.rows[index], channelMap: channelMap, into: x, batchLabels: batchLabels)
    return (x, batchLabels)
  }

  /// An epoch's rows in device memory, a tensor a batch.
  public final class LoadedPlan {
    public let batches: [Range<Int>]
    /// int32 [N,4] each.
    fileprivate let rows: [Tensor]

    fileprivate init(_ plan: EpochPlan, batches: [Range<Int>], on backend: any Backend) throws {
      self.batches = batches
      rows = try batches.map { try backend.uploadBatch(plan.rows($0)) }
    }
  }
}
