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
  /// Number of each row on which its random changes depend; nil if each depends on the number of its sample. The first row of a
  /// sample has the number of the sample. Each further row has a number of its own, so that an image does not come again in the
  /// same form.
  let draws: [Int]?

  /// - Parameters:
  ///   - count: number of samples, each of which comes once.
  ///   - shuffle: whether the order is random; otherwise it is that of the data set.
  ///   - augmentation: augmentation of the samples; nil for unchanged samples.
  public init(seed: UInt64, epoch: Int, count: Int, shuffle: Bool, augmentation: Augmentation?) {
    precondition(count > 0 && count <= Int32.max, "[EpochPlan] \(count) samples")
    let order = shuffle ? Self.permutation(seed: seed, epoch: epoch, count: count) : Array(0..<count)
    self.init(seed: seed, epoch: epoch, order: order, draws: nil, augmentation)
  }

  /// Creates the plan of an epoch that draws each row from a class, all classes with equal probability. Classes without samples
  /// do not count. The samples of a class come in a random order, and begin anew in another order after the last one. There are
  /// as many rows as samples.
  /// - Parameters:
  ///   - labels: number of each sample's class, at least 0.
  ///   - augmentation: augmentation of the samples; nil for unchanged samples. A sample that comes again is changed differently.
  public init(seed: UInt64, epoch: Int, balancing labels: [Int32], augmentation: Augmentation?) {
    precondition(!labels.isEmpty && labels.count <= Int32.max, "[EpochPlan] \(labels.count) samples")
    let order = Self.balanced(labels, seed: seed, epoch: epoch)
    var seen = [Bool](repeating: false, count: labels.count)
    let draws = order.enumerated().map { row, index in
      defer { seen[index] = true }
      return seen[index] ? labels.count + row : index
    }
    self.init(seed: seed, epoch: epoch, order: order, draws: draws, augmentation)
  }

  private init(seed: UInt64, epoch: Int, order: [Int], draws: [Int]?, _ augmentation: Augmentation?) {
    precondition(epoch >= 0 && epoch <= Int32.max, "[EpochPlan] epoch \(epoch)")
    var rows: [Int32] = []
    rows.reserveCapacity(BatchPlan.viewColumns * order.count)
    for (row, index) in order.enumerated() {
      let draw = augmentation?.draw(seed: seed, epoch: epoch, sample: draws?[row] ?? index) ?? .none
      rows += BatchPlan.view(index, top: draw.top, left: draw.left, isFlipped: draw.isFlipped)
    }
    self.rows = HostTensor(rows, shape: [order.count, BatchPlan.viewColumns])
    self.draws = draws
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
    let numbers = draws.map { Array($0[range]) } ?? BatchPlan.indices(ofViews: views)
    return rows(views, draws: numbers, batch: range.lowerBound, height, width)
  }

  /// Returns the rows of one batch of images that were cropped and mirrored on their way to the device, and lie there in
  /// their order.
  /// - Parameters:
  ///   - draws: numbers on which the random changes of the images depend, see ``ImageItem/draw``.
  ///   - batch: first row of the range that the images belong to, even if some are missing.
  public func rows(ofLoaded draws: [Int], batch: Int, height: Int, width: Int) -> HostTensor {
    let views = HostTensor(draws.indices.flatMap { BatchPlan.view($0) }, shape: [draws.count, BatchPlan.viewColumns])
    return rows(views, draws: draws, batch: batch, height, width)
  }

  /// Returns the item of a row.
  /// - Parameters:
  ///   - index: number of the row.
  ///   - items: items of the data set, in its order.
  package func item(ofRow index: Int, _ order: [Int], _ items: [ImageItem]) -> ImageItem {
    let item = items[order[index]]
    guard let draws, draws[index] != order[index] else { return item }
    return item.drawn(by: draws[index])
  }

  private func rows(_ views: HostTensor, draws: [Int], batch: Int, _ height: Int, _ width: Int) -> HostTensor {
    guard let augmentation, augmentation.changesBatches else { return views }
    func box(_ area: PixelArea?) -> [Int32] {
      area.map { BatchPlan.box(top: $0.top, left: $0.left, height: $0.height, width: $0.width) } ?? BatchPlan.emptyBox
    }
    let (values, columns) = (views.elements(as: Int32.self), BatchPlan.viewColumns)
    let erased = draws.map {
      box(augmentation.randomErasing?.draw(seed: seed, epoch: epoch, sample: $0, height: height, width: width))
    }
    let whole = draws.indices.map { (view: Array(values[columns * $0..<columns * ($0 + 1)]), erased: erased[$0]) }
    let mixture = augmentation.mixing?.draw(seed: seed, epoch: epoch, batch: batch, height: height, width: width) ?? .none
    // Each image is mixed with the one before it.
    let rows = whole.indices.flatMap {
      BatchPlan.mixed(
        whole[$0], whole[($0 + whole.count - 1) % whole.count], box: box(mixture.box), pixelShare: mixture.pixelShare,
        labelShare: mixture.labelShare)
    }
    return HostTensor(rows, shape: [draws.count, BatchPlan.mixedColumns])
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

  /// Draws samples as ``init(seed:epoch:balancing:augmentation:)`` says.
  private static func balanced(_ labels: [Int32], seed: UInt64, epoch: Int) -> [Int] {
    var random = Philox(seed: seed, stream: RandomStream.balance, index: UInt64(epoch))
    // The samples of a class from `left` on have come in the present turn.
    var classes = Dictionary(grouping: labels.indices) { labels[$0] }.sorted { $0.key < $1.key }
      .map { (samples: $0.value, left: $0.value.count) }
    return labels.indices.map { _ in
      let label = random.below(classes.count)
      if classes[label].left == 0 { classes[label].left = classes[label].samples.count }
      let last = classes[label].left - 1
      classes[label].samples.swapAt(random.below(last + 1), last)
      classes[label].left = last
      return classes[label].samples[last]
    }
  }

  /// Returns a random permutation by Fisher and Yates' shuffle (Durstenfeld 1964).
  private static func permutation(seed: UInt64, epoch: Int, count: Int) -> [Int] {
    var random = Philox(seed: seed, stream: RandomStream.shuffle, index: UInt64(epoch))
    var order = Array(0..<count)
    for last in stride(from: count - 1, to: 0, by: -1) { order.swapAt(last, random.below(last + 1)) }
    return order
  }
}
