import Compute
import Images
import Support

/// Order of the samples in an epoch, with the crop and the mirroring of each. All random choices of the epoch are drawn
/// before it begins. They are a function of (seed, epoch), the options and the batch size alone.
///
/// ```swift
/// let plan = EpochPlan(seed: 1, epoch: 0, count: 1000, shuffle: true, augmentation: nil)
/// for batch in plan.batches(of: 128, keepShort: false) { print(batch, plan.order[batch.lowerBound]) }
/// ```
public struct EpochPlan: Sendable {
  /// Plan, int32 [count,4]: a row (index, top, left, flip) for each sample, as
  /// ``BatchOperations/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)`` takes it.
  public let rows: HostTensor
  /// Random seed of the run.
  public let seed: UInt64
  /// Epoch, counted from 0.
  public let epoch: Int
  /// Augmentation of the images; nil for none.
  public let augmentation: Augmentation?

  /// - Parameters:
  ///   - count: number of samples, each of which comes once.
  ///   - shuffle: whether the order is random; otherwise it is that of the data set.
  ///   - augmentation: augmentation of the samples; nil for unchanged samples.
  public init(seed: UInt64, epoch: Int, count: Int, shuffle: Bool, augmentation: Augmentation?) {
    precondition(count > 0 && count <= Int32.max, "[EpochPlan] \(count) samples")
    precondition(epoch >= 0 && epoch <= Int32.max, "[EpochPlan] epoch \(epoch)")
    let order = shuffle ? Self.permutation(seed: seed, epoch: epoch, count: count) : Array(0..<count)
    var rows: [Int32] = []
    rows.reserveCapacity(BatchPlan.viewColumns * count)
    for index in order {
      let draw = augmentation?.draw(seed: seed, epoch: epoch, sample: index) ?? .none
      rows += BatchPlan.view(index, top: draw.top, left: draw.left, isFlipped: draw.isFlipped)
    }
    self.rows = HostTensor(rows, shape: [count, BatchPlan.viewColumns])
    self.seed = seed
    self.epoch = epoch
    self.augmentation = augmentation
  }

  /// Creates the plan of an evaluation: every sample, unchanged, in the order of the data set.
  public init(inOrder count: Int) { self.init(seed: 0, epoch: 0, count: count, shuffle: false, augmentation: nil) }

  /// Number of samples.
  public var count: Int { rows.shape[0] }

  /// Numbers of the samples in the order in which they come.
  public var order: [Int] { BatchPlan.indices(ofViews: rows) }

  /// Returns the rows of one batch of images that lie on the device: int32 [range.count,4], or [range.count,22] if images are
  /// erased or mixed, as ``BatchOperations/gatherBatch(images:labels:plan:channelMap:into:batchLabels:)`` takes them.
  /// - Parameters:
  ///   - range: range of rows.
  ///   - height: height of the images that the network sees; `width` likewise.
  public func rows(_ range: Range<Int>, height: Int, width: Int) -> HostTensor {
    let rowBytes = BatchPlan.viewColumns * DataType.int32.byteCount
    let views = HostTensor(
      shape: [range.count, BatchPlan.viewColumns], type: .int32,
      bytes: Array(rows.bytes[rowBytes * range.lowerBound..<rowBytes * range.upperBound]))
    return rows(views, samples: BatchPlan.indices(ofViews: views), batch: range.lowerBound, height, width)
  }

  /// Returns the rows of one batch of images that were cropped and mirrored on their way to the device, and lie there in
  /// their order.
  /// - Parameters:
  ///   - samples: numbers of the samples in the data set.
  ///   - batch: first row of the range that the samples belong to, even if some are missing.
  public func rows(ofLoaded samples: [Int], batch: Int, height: Int, width: Int) -> HostTensor {
    let views = HostTensor(samples.indices.flatMap { BatchPlan.view($0) }, shape: [samples.count, BatchPlan.viewColumns])
    return rows(views, samples: samples, batch: batch, height, width)
  }

  private func rows(_ views: HostTensor, samples: [Int], batch: Int, _ height: Int, _ width: Int) -> HostTensor {
    guard let augmentation, augmentation.changesBatches else { return views }
    func box(_ area: PixelArea?) -> [Int32] {
      area.map { BatchPlan.box(top: $0.top, left: $0.left, height: $0.height, width: $0.width) } ?? BatchPlan.emptyBox
    }
    let (values, columns) = (views.elements(as: Int32.self), BatchPlan.viewColumns)
    let erased = samples.map {
      box(augmentation.randomErasing?.draw(seed: seed, epoch: epoch, sample: $0, height: height, width: width))
    }
    let whole = samples.indices.map { (view: Array(values[columns * $0..<columns * ($0 + 1)]), erased: erased[$0]) }
    let mixture = augmentation.mixing?.draw(seed: seed, epoch: epoch, batch: batch, height: height, width: width) ?? .none
    // Each image is mixed with the one before it.
    let rows = whole.indices.flatMap {
      BatchPlan.mixed(
        whole[$0], whole[($0 + whole.count - 1) % whole.count], box: box(mixture.box), pixelShare: mixture.pixelShare,
        labelShare: mixture.labelShare)
    }
    return HostTensor(rows, shape: [samples.count, BatchPlan.mixedColumns])
  }

  /// Returns the batches of an epoch as ranges of rows. All have `size` rows, except possibly the last.
  ///
  /// In evaluation, the samples that are left over after whole batches form one short batch, as every sample counts. In
  /// training they are dropped, because statistics over a few images are poor, unless there is no whole batch at all.
  /// Shuffling drops other samples in each epoch.
  public func batches(of size: Int, keepShort: Bool) -> [Range<Int>] {
    precondition(size > 0, "[EpochPlan] batches of \(size)")
    let whole = stride(from: 0, through: count - size, by: size).map { $0..<$0 + size }
    let rest = whole.count * size..<count
    return rest.isEmpty || (!keepShort && !whole.isEmpty) ? whole : whole + [rest]
  }

  /// Returns a random permutation by Fisher and Yates' shuffle (Durstenfeld 1964).
  private static func permutation(seed: UInt64, epoch: Int, count: Int) -> [Int] {
    var random = Philox(seed: seed, stream: RandomStream.shuffle, index: UInt64(epoch))
    var order = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, random.below(last + 1)) }
    return order
  }
}
