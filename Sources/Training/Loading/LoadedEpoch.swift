import Compute
import Datasets
import Images
import Support

/// Epoch whose batches are ready to be loaded, in order.
public final class LoadedEpoch {
  /// Place of the images before they are gathered into a batch.
  enum Place {
    /// All images are on the device, and the rows of each batch for each of its views.
    case resident(DevicePixels, rows: [[Tensor]])
    /// Threads of the host make the images.
    case streamed(ImagePipeline)
  }

  /// Ranges of the plan's rows, one for each batch.
  public let batches: [Range<Int>]
  private let loader: BatchLoader
  private let plan: EpochPlan
  private let order: [Int]
  private let place: Place
  private let size: (height: Int, width: Int)
  private var next: Int

  /// - Parameter size: height and width of the images of ``batch(_:)``.
  init(
    _ loader: BatchLoader, _ plan: EpochPlan, batches: [Range<Int>], _ place: Place, size: (height: Int, width: Int),
    from first: Int
  ) {
    (self.loader, self.plan, self.batches, self.place, self.size, next) = (loader, plan, batches, place, size, first)
    order = plan.order
  }

  /// Seconds for which batches have waited for images to be decoded.
  public var waited: Double { if case .streamed(let pipeline) = place { pipeline.counters.waited } else { 0 } }

  /// Returns one batch: normalized x [N,H,W,C], and labels int32 [N], or [N,3] for mixed images, as
  /// ``LossOperations/crossEntropy(_:labels:smoothing:metrics:gradient:lossScale:)`` takes them. Batches are requested in order.
  ///
  /// N is smaller than the range's count if damaged images are left out. The batch is nil if all its images are damaged.
  /// - Throws: a ``Failure`` for a damaged image, if such images end the work; errors of the backend.
  public func batch(_ index: Int) throws -> (x: Tensor, labels: Tensor)? {
    guard let (x, labels) = try load(index).pixels?.gather(view: 0) else { return nil }
    return (try loader.shrunk(x, to: size), labels)
  }

  /// Puts the images of one batch on the device. Batches are requested in order.
  /// - Returns: the batch, and its pixels on the device; nil if all its images are damaged.
  /// - Throws: a ``Failure`` for a damaged image, if such images end the work; errors of the backend.
  package func load(_ index: Int) throws -> (batch: ImageBatch, pixels: DeviceBatch?) {
    precondition(index == next, "[LoadedEpoch] batch \(index) asked for before \(next)")
    next += 1
    switch place {
    case .resident(let images, let rows):
      let items = batches[index].map { loader.items[order[$0]] }
      return (ImageBatch(items: items, missing: []), DeviceBatch(loader: loader, images, rows: rows[index]))
    case .streamed(let pipeline):
      let begin = batches[index].lowerBound
      let sent = try pipeline.next { batch in
        let missing = zip(batch.missing, batch.failures).map { (item: $0, reason: $1) }
        return (batch: ImageBatch(items: batch.items, missing: missing), pixels: try loader.send(batch, plan, begin))
      }
      guard let sent else { throw Failure(.notFound, "no more images: loading them was cancelled") }
      return sent
    }
  }
}

/// Images of one batch.
package struct ImageBatch {
  /// Items of the images, in order.
  package let items: [ImageItem]
  /// Items of the images that cannot be loaded, with the reasons.
  package let missing: [(item: ImageItem, reason: Failure)]
}

/// Images of one batch on a device, from which its views are gathered.
package struct DeviceBatch {
  private let loader: BatchLoader
  private let images: DevicePixels
  /// Rows of each view: int32 [N,4], or [N,22] if images are erased or mixed.
  private let rows: [Tensor]

  init(loader: BatchLoader, _ images: DevicePixels, rows: [Tensor]) {
    (self.loader, self.images, self.rows) = (loader, images, rows)
  }

  /// Gathers one view of each image: normalized x [N,H,W,C], and labels int32 [N], or [N,3] for mixed images.
  package func gather(view index: Int) throws -> (x: Tensor, labels: Tensor) { try loader.gather(rows[index], of: images) }
}
