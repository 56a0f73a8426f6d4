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
      images: images, labels: labels, plan: try plan.rows(index), channelMap: channelMap, into: x, batchLabels: batchLabels)
    return (x, batchLabels)
  }

  /// An epoch's rows in device memory, each batch at a place where a storage can be sliced.
  public final class LoadedPlan {
    public let batches: [Range<Int>]
    private let backend: any Backend
    private let tensor: Tensor
    private let offsets: [Int]

    fileprivate init(_ plan: EpochPlan, batches: [Range<Int>], on backend: any Backend) throws {
      self.batches = batches
      self.backend = backend
      var bytes: [UInt8] = []
      offsets = batches.map { range in
        let start = bytes.count
        bytes += plan.rows(range).bytes
        bytes += [UInt8](repeating: 0, count: (backend.alignment - bytes.count % backend.alignment) % backend.alignment)
        return start
      }
      tensor = try backend.upload(HostTensor(bytes, shape: [bytes.count]))
    }

    fileprivate func rows(_ index: Int) throws -> Tensor {
      let count = batches[index].count
      let storage = try backend.slice(tensor.storage, offset: offsets[index], byteCount: count * 16)
      return Tensor(shape: [count, 4], type: .int32, storage: storage)
    }
  }
}
