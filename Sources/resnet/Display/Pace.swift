/// Pace of some work over the last seconds. It is counted from the end of the first item, as the time before it goes into
/// building kernels.
package struct Pace: Sendable {
  /// Seconds over which the pace is measured, and the least time between two samples that are kept.
  private static let (window, spacing) = (20.0, 0.2)
  /// Number of samples that are kept whatever their age, so that slow work has a pace, too.
  private static let fewest = 4
  /// Seconds or items after which the time that is left can be estimated.
  private static let (enoughTime, enoughItems) = (1.0, 10)

  private var samples: [(time: Double, done: Int)] = []
  /// Time that does not count, because other work went on.
  private var paused = 0.0

  package init() {}

  /// Adds a sample.
  /// - Parameters:
  ///   - done: number of items done.
  ///   - now: seconds on a clock that never goes back.
  package mutating func add(_ done: Int, at now: Double) {
    let time = now - paused
    guard let last = samples.last else {
      samples = [(time, done)]
      return
    }
    guard done > last.done, time > last.time else { return }
    // The first sample is where counting begins.
    if samples.count > 1, time - samples[samples.count - 2].time < Self.spacing { samples.removeLast() }
    samples.append((time, done))
    while samples.count > Self.fewest, time - samples[0].time > Self.window { samples.removeFirst() }
  }

  /// Goes on after other work: the time since the last sample does not count, except for the items done since.
  package mutating func resume(_ done: Int, at now: Double) {
    if let last = samples.last {
      let items = Double(max(0, done - last.done))
      paused = now - last.time - items * (secondsPerItem ?? 0)
    }
    add(done, at: now)
  }

  /// Seconds an item takes; nil before the second item is done.
  package var secondsPerItem: Double? {
    guard let first = samples.first, let last = samples.last, last.done > first.done else { return nil }
    return (last.time - first.time) / Double(last.done - first.done)
  }

  /// Estimates the seconds until an item is done; nil before enough items are done. Work that stands still takes ever longer.
  package func secondsLeft(until total: Int, at now: Double) -> Double? {
    guard let pace = secondsPerItem, let first = samples.first, let last = samples.last else { return nil }
    guard last.time - first.time >= Self.enoughTime || last.done - first.done >= Self.enoughItems else { return nil }
    let since = max(0, now - paused - last.time)
    let slowest = since > pace ? (last.time + since - first.time) / Double(last.done - first.done + 1) : pace
    return max(0, Double(total - last.done) * slowest - min(since, slowest))
  }
}

/// Smoothed value of a series, and where it tends to.
package struct Trend: Sendable {
  /// Tendency of a series.
  package enum Direction: Sendable { case falling, rising, level }

  /// Weights of a new value in the two averages whose difference is the tendency.
  private static let (fast, slow) = (0.1, 0.02)
  /// Number of values before there is a tendency, and the least relative difference that is one.
  private static let (fewest, least) = (10, 0.01)

  private var count = 0
  private var averages = (fast: 0.0, slow: 0.0)
  /// Sums of the weights so far, by which the averages are divided, as their first values are too small otherwise.
  private var weights = (fast: 0.0, slow: 0.0)

  package init() {}

  /// Adds a value. A value that is not finite is left out.
  package mutating func add(_ value: Double) {
    guard value.isFinite else { return }
    count += 1
    averages.fast += Self.fast * (value - averages.fast)
    averages.slow += Self.slow * (value - averages.slow)
    weights.fast += Self.fast * (1 - weights.fast)
    weights.slow += Self.slow * (1 - weights.slow)
  }

  /// Mean of the last values, the newest of which weigh most; nil without a value.
  package var value: Double? { count > 0 ? averages.fast / weights.fast : nil }

  /// Tendency; nil before there are enough values.
  package var direction: Direction? {
    guard count >= Self.fewest, let value else { return nil }
    let before = averages.slow / weights.slow
    let difference = value - before
    guard abs(difference) > Self.least * abs(before) else { return .level }
    return difference < 0 ? .falling : .rising
  }
}
