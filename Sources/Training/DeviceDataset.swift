import Compute
import Datasets

/// Data set in a backend's memory. Batches are gathered from it without the host, whose copy may be freed.
public final class DeviceDataset: BatchSource {
  /// Number of images.
  public let count: Int
  private let backend: any Backend
  private let images, labels, channelMap: Tensor
  /// Storage type of the batches.
  private let precision: Precision

  /// - Parameter precision: storage type of the batches, and with them of all activations of the network that they go through.
  /// - Throws: errors of the backend, for example if the images do not fit into its memory.
  public init(_ dataset: Dataset, precision: Precision = .fp32, on backend: any Backend) throws {
    count = dataset.count
    self.precision = precision
    self.backend = backend
    images = try backend.upload(dataset.images)
    labels = try backend.upload(dataset.labels)
    channelMap = try backend.upload(dataset.normalization.channelMap)
  }

  /// Puts an epoch's plan on the device, so that a step sends nothing.
  public func load(_ plan: EpochPlan, batches: [Range<Int>], from first: Int = 0) throws -> any LoadedEpoch {
    Epoch(
      self, batches: batches,
      rows: try batches.map {
        try backend.uploadBatch(plan.rows($0, height: images.shape[1], width: images.shape[2]))
      })
  }

  /// Epoch with its rows in device memory, one tensor for each batch.
  private final class Epoch: LoadedEpoch {
    let batches: [Range<Int>]
    private let dataset: DeviceDataset
    /// Rows of each batch: int32 [N,4], or [N,22] if images are erased or mixed.
    private let rows: [Tensor]

    init(_ dataset: DeviceDataset, batches: [Range<Int>], rows: [Tensor]) {
      self.dataset = dataset
      self.batches = batches
      self.rows = rows
    }

    func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor)? {
      try dataset.backend.gather(
        rows[index], of: dataset.images, dataset.labels, channelMap: dataset.channelMap,
        dataset.precision.storage(on: dataset.backend))
    }
  }
}

extension Backend {
  /// Gathers one batch: normalized x [N,H,W,C], and labels int32 [N], or [N,3] for mixed images.
  /// - Parameters:
  ///   - rows: plan of the batch.
  ///   - images: images [M,H,W,C] with the height and width of the batch; their labels are int32 [M].
  ///   - storage: type of x; nil for the backend's own.
  func gather(
    _ rows: Tensor, of images: Tensor, _ labels: Tensor, channelMap: Tensor, _ storage: DataType?
  ) throws -> (x: Tensor, labels: Tensor) {
    let (count, shape) = (rows.shape[0], images.shape)
    let x = try batchTensor([count, shape[1], shape[2], shape[3]], storage)
    let isMixed = rows.shape[1] == BatchPlan.mixedColumns
    let batchLabels = try batchTensor(isMixed ? [count, BatchPlan.labelColumns] : [count], .int32)
    try gatherBatch(images: images, labels: labels, plan: rows, channelMap: channelMap, into: x, batchLabels: batchLabels)
    return (x, batchLabels)
  }
}
