import Compute
import Support

/// Collects the losses of an epoch's steps in order as they arrive from the device, and sums them up into records.
struct StepCollector {
  /// Figures of one step that is done.
  struct Done {
    let step, images: Int
    let rate, lossSum, hits: Double
  }

  private struct Expected {
    let readback: any Readback
    let step, images: Int
    let rate: Double
  }

  private let logEvery, epoch: Int
  private var expected: [Expected] = []
  private var since = (images: 0, timedImages: 0, lossSum: 0.0, hits: 0.0, start: ContinuousClock.now)
  /// Number of images of the epoch's steps so far; `start` is when the steps began.
  private var images = 0
  private let start = ContinuousClock.now
  /// Number of images of the steps after the first step of a run, and when these steps began.
  private var warm: (images: Int, start: ContinuousClock.Instant)?

  /// - Parameter recent: sums of the steps since the last record, if the run was saved between two records.
  init(logEvery: Int, epoch: Int, _ recent: RunFolder.Position.Recent? = nil) {
    self.logEvery = logEvery
    self.epoch = epoch
    if let recent { (since.images, since.lossSum, since.hits) = (recent.images, recent.lossSum, recent.hits) }
  }

  /// Sums of the steps since the last record; nil if there were no images since.
  var recent: RunFolder.Position.Recent? {
    since.images == 0 ? nil : .init(lossSum: since.lossSum, hits: since.hits, images: since.images)
  }

  /// Whether the steps up to one are collected.
  func hasCollected(through step: Int) -> Bool { expected.first.map { $0.step > step } ?? true }

  /// Restarts the clock after the first step of a run, in which kernels are built. Rates count from here on.
  mutating func restartClock() {
    let now = ContinuousClock.now
    warm = (0, now)
    (since.timedImages, since.start) = (0, now)
  }

  /// Throughput of the whole epoch so far, without a run's first step if other steps followed.
  var imagesPerSecond: Double {
    let counted = warm.flatMap { $0.images > 0 ? $0 : nil } ?? (images: images, start: start)
    return Double(counted.images) / (ContinuousClock.now - counted.start).seconds
  }

  mutating func expect(_ readback: any Readback, step: Int, images: Int, rate: Double) {
    expected.append(Expected(readback: readback, step: step, images: images, rate: rate))
  }

  /// Returns the next step that is done; nil if nothing more has arrived. Waits only while more than `leaving` steps are not
  /// done.
  mutating func next(leaving: Int) throws -> Done? {
    guard let first = expected.first, expected.count > leaving || first.readback.isReady else { return nil }
    let values = try first.readback.wait().doubles
    expected.removeFirst()
    return Done(step: first.step, images: first.images, rate: first.rate, lossSum: values[0], hits: values[1])
  }

  /// Adds a step and returns a record if one is due.
  mutating func add(_ done: Done) -> StepRecord? {
    images += done.images
    warm?.images += done.images
    since.timedImages += done.images
    since.images += done.images
    since.lossSum += done.lossSum
    since.hits += done.hits
    guard done.step % logEvery == 0 else { return nil }
    let now = ContinuousClock.now
    defer { since = (0, 0, 0, 0, now) }
    return StepRecord(
      epoch: epoch, step: done.step, loss: since.lossSum / Double(since.images), accuracy: since.hits / Double(since.images),
      learningRate: done.rate, imagesPerSecond: Double(since.timedImages) / (now - since.start).seconds)
  }
}
