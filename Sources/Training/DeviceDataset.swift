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
    Epoch(
      self, batches: batches,
      rows: try batches.map {
        try backend.uploadBatch(plan.rows($0, height: images.shape[1], width: images.shape[2]))
      })
  }

  /// An epoch's rows in device memory, a tensor a batch.
  private final class Epoch: LoadedEpoch {
    let batches: [Range<Int>]
    private let dataset: DeviceDataset
    /// int32 [N,4] each, or [N,22] where images are erased or mixed.
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
  /// Gathers one batch: x [N,H,W,C] normalised; labels int32 [N], or [N,3] of mixed images.
  /// - Parameters:
  ///   - rows: its plan.
  ///   - images: [M,H,W,C], of the batch's own height and width; labels int32 [M].
  ///   - storage: the type of x; nil for the backend's own.
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
