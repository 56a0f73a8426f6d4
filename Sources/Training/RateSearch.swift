import Foundation
import NN
import Support

/// Search for a learning rate: a short training whose rate rises from step to step, and the losses of its steps (Smith 2017,
/// section 3.3).
package struct RateSearch {
  /// One step of the training.
  package struct Point: Hashable, Sendable {
    package let rate: Double
    /// Mean loss of the step's images, with the weights before the step.
    package let loss: Double
    /// Exponential average of the losses up to this step, with the bias of its start removed.
    package let smoothed: Double
  }

  /// Rates that the curve suggests.
  package struct Suggestion: Hashable, Sendable {
    /// Rate where the loss falls fastest.
    package let steepest: Double
    /// Rate where the smoothed loss is lowest.
    package let lowest: Double
  }

  /// Number of steps unless the run names one, and the smallest possible number.
  package static let (usualSteps, fewestSteps) = (100, 20)
  /// Share of the average that a step keeps.
  private static let decay = 0.9
  /// Multiple of the lowest smoothed loss at which the search ends.
  private static let explosion = 4.0
  /// Number of steps on each side of a step that its slope is measured over.
  private static let reach = 5

  /// Rates of the steps: they rise exponentially.
  package let rates: [Double]
  /// Steps that are done.
  package private(set) var points: [Point] = []
  private var average = 0.0
  private var lowest = Double.infinity

  /// Plans a search for the optimizer of a run: ``RunConfiguration/maxSteps`` steps, or ``usualSteps``, over eight powers of ten.
  /// - Throws: ``Failure`` for too few steps.
  package init(for configuration: RunConfiguration) throws {
    let steps = configuration.maxSteps ?? Self.usualSteps
    try demand(steps >= Self.fewestSteps, .maxSteps, steps, "a search for a learning rate needs at least \(Self.fewestSteps)")
    // Rates of LARS are multiplied by a small number.
    let first = configuration.optimizer.kind == .lars ? 1e-5 : 1e-7
    rates = (0..<steps).map { first * pow(1e8, Double($0) / Double(steps - 1)) }
  }

  /// Adds a step.
  /// - Returns: whether the search goes on. It ends if the loss is not finite, or its average is far above the lowest one.
  package mutating func add(rate: Double, loss: Double) -> Bool {
    guard loss.isFinite else { return false }
    average = Self.decay * average + (1 - Self.decay) * loss
    let smoothed = average / (1 - pow(Self.decay, Double(points.count + 1)))
    points.append(Point(rate: rate, loss: loss, smoothed: smoothed))
    lowest = min(lowest, smoothed)
    return smoothed <= Self.explosion * lowest
  }

  /// Rates that the losses suggest; nil if the loss does not fall, or falls no more than it varies from batch to batch.
  ///
  /// The loss falls fastest where a straight line through the losses of eleven steps, over the logarithm of the rate, has the
  /// steepest slope. Unlike a slope of the average, which lags behind, it is found where it is.
  package var suggestion: Suggestion? {
    // At the lowest rates, weights hardly move: there, the losses differ by the images alone.
    let start = points.prefix(rates.count / 5).map(\.loss)
    guard points.count > start.count + Self.reach, start.count > 1 else { return nil }
    let mean = start.reduce(0, +) / Double(start.count)
    let variance = start.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(start.count - 1)
    // Standard deviation of an exponential average of independent values.
    let deviation = (variance * (1 - Self.decay) / (1 + Self.decay)).squareRoot()
    guard let end = (start.count..<points.count).min(by: { points[$0].smoothed < points[$1].smoothed }),
      mean - points[end].smoothed > max(3 * deviation, 1e-3 * mean)
    else { return nil }
    let middles = Self.reach..<points.count - Self.reach
    guard let steepest = middles.filter({ $0 <= end }).min(by: { slope(at: $0) < slope(at: $1) }), slope(at: steepest) < 0
    else { return nil }
    return Suggestion(steepest: points[steepest].rate, lowest: points[end].rate)
  }

  /// Returns the slope of a line through the losses around a step, by least squares, per step.
  private func slope(at middle: Int) -> Double {
    let offsets = -Self.reach...Self.reach
    let sum = offsets.reduce(0.0) { $0 + Double($1) * points[middle + $1].loss }
    return sum / offsets.reduce(0.0) { $0 + Double($1 * $1) }
  }
}

extension Trainer {
  /// Trains with the rates of a search, through as many epochs as that takes, without validation and without files. The trainer
  /// has no use afterwards.
  /// - Parameters:
  ///   - shouldStop: asked before each step.
  ///   - report: called with each step that is done.
  /// - Returns: false if the search was stopped.
  /// - Throws: ``Failure`` if none of the images can be decoded; errors of the backend.
  /// - Precondition: the run keeps no files and has not begun.
  package func search(
    _ search: inout RateSearch, shouldStop: () -> Bool = { false }, report: (RateSearch.Point) -> Void = { _ in }
  ) throws -> Bool {
    precondition(folder == nil && position.step == 0, "[Trainer] a search in a run that is kept")
    while position.step < search.rates.count {
      let loaded = try loadEpoch()
      let last = min(search.rates.count, (position.epoch + 1) * stepsPerEpoch)
      var collector = StepCollector(logEvery: logEvery, epoch: position.epoch + 1)
      while position.step < last {
        if shouldStop() { return false }
        try enqueueStep(loaded, &collector, rate: search.rates[position.step])
        // The host waits for the first step, in which kernels are built, so that its report comes when they are.
        let ahead = position.step > 1 && position.step < last ? Self.stepsAhead : 0
        while let done = try collector.next(leaving: ahead) {
          let goesOn = search.add(rate: done.rate, loss: done.lossSum / Double(done.images))
          if let point = search.points.last, point.rate == done.rate { report(point) }
          if !goesOn { return true }
        }
      }
      position.epoch += 1
    }
    if search.points.isEmpty { throw noImages }
    return true
  }
}
