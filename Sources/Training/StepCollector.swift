import Compute

/// Takes in the losses of an epoch's steps as they arrive from the device, in order, and sums them up into records.
struct StepCollector {
  /// The figures of one step that is done.
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
  private var since = (steps: 0, images: 0, lossSum: 0.0, hits: 0.0, start: ContinuousClock.now)
  private var images = 0
  private let start = ContinuousClock.now

  init(logEvery: Int, epoch: Int) {
    self.logEvery = logEvery
    self.epoch = epoch
  }

  /// Over the whole epoch so far.
  var imagesPerSecond: Double { Double(images) / (ContinuousClock.now - start).seconds }

  mutating func expect(_ readback: any Readback, step: Int, images: Int, rate: Double) {
    expected.append(Expected(readback: readback, step: step, images: images, rate: rate))
  }

  /// The next step that is done; waits only while more than `leaving` are not. Nil where nothing more has arrived.
  mutating func next(leaving: Int) throws -> Done? {
    guard let first = expected.first, expected.count > leaving || first.readback.isReady else { return nil }
    let values = try first.readback.wait().doubles
    expected.removeFirst()
    return Done(step: first.step, images: first.images, rate: first.rate, lossSum: values[0], hits: values[1])
  }

  /// Adds a step, and returns a record where one is due.
  mutating func add(_ done: Done) -> StepRecord? {
    images += done.images
    since.steps += 1
    since.images += done.images
    since.lossSum += done.lossSum
    since.hits += done.hits
    guard done.step % logEvery == 0 else { return nil }
    let now = ContinuousClock.now
    defer { since = (0, 0, 0, 0, now) }
    return StepRecord(
      epoch: epoch, step: done.step, loss: since.lossSum / Double(since.images), accuracy: since.hits / Double(since.images),
      learningRate: done.rate, imagesPerSecond: Double(since.images) / (now - since.start).seconds)
  }
}
