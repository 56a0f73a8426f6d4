import Compute
import Conformance
import OpenCLBackend
import Support

/// Finds the fastest correct way to compute each pass of each convolution.
///
/// A candidate first runs on the whole batch, and its result is compared with the reference. A few images are enough for this,
/// because an image's result depends on that image alone. The gradient of a filter is summed over a few images, while the others
/// have a gradient of zero. A candidate is refused if its error exceeds its algorithm's bound, if it does not build or if it does
/// not run. The remaining candidates are timed alternately with the best one so far, and the winner must finally beat the
/// built-in choice by ``margin``.
package final class Tuner {
  /// Fraction of time by which a candidate must beat the built-in choice.
  package static let margin = 0.03

  private let backend: OpenCLBackend
  private let reference: any Backend
  private let candidates: (ConvolutionWork) -> [ConvolutionChoice]

  /// - Parameters:
  ///   - backend: a backend for the tuner alone, because its memory pool and choices are spoilt.
  ///   - candidates: returns the choices to try; nil for the backend's own candidates.
  package init(
    _ backend: OpenCLBackend, reference: any Backend, candidates: ((ConvolutionWork) -> [ConvolutionChoice])? = nil
  ) {
    (self.backend, self.reference) = (backend, reference)
    backend.fallsBack = false
    self.candidates = candidates ?? { backend.candidates(for: $0) }
  }

  /// Tunes work in the order of its weight, and gives each piece a share of the time in proportion to its weight.
  /// - Parameters:
  ///   - weights: work to be tuned, and the part of the step that it makes up, in any unit.
  ///   - budget: time limit in seconds; nil for no limit.
  ///   - shouldStop: called between runs; results up to then count.
  ///   - report: called with each result and with the number of results to come.
  /// - Throws: ``Failure`` if the built-in choice itself is wrong or does not run.
  package func tune(
    _ weights: [ConvolutionWork: Double], budget: Double?, shouldStop: () -> Bool,
    report: (_ work: ConvolutionWork, _ entry: TuningTable.Entry, _ left: Int) throws -> Void
  ) throws {
    // Work of equal weight has a fixed order.
    let order = weights.sorted { ($1.value, $0.key.description) < ($0.value, $1.key.description) }
    let start = ContinuousClock.now
    var weightLeft = order.reduce(0) { $0 + $1.value }
    for (index, (work, weight)) in order.enumerated() where !shouldStop() {
      let now = ContinuousClock.now
      let left = budget.map { $0 - (now - start).seconds }
      if let left, left <= 0 { return }
      let deadline = left.map { now + .seconds($0 * weight / weightLeft) }
      weightLeft -= weight
      // Work that has begun gets as far as a first candidate, however short the time.
      let entry = try tune(work) { tried in
        shouldStop() || (tried > 0 && deadline.map { ContinuousClock.now >= $0 } ?? false)
      }
      if let entry { try report(work, entry, order.count - index - 1) }
    }
  }

  /// Tunes one piece of work.
  /// - Parameter isOver: whether to stop after so many candidates.
  /// - Returns: nil if the time was over before the first candidate.
  private func tune(_ work: ConvolutionWork, _ isOver: (Int) -> Bool) throws -> TuningTable.Entry? {
    let trial = try ConvolutionTrial(work, on: backend, reference: reference)
    defer { backend.choose(nil, for: work) }
    if let complaint = try trial.complaint(nil) {
      throw Failure(.device, "\(work) is wrong on \(backend.name): \(complaint); `resnet verify` tells more")
    }
    var best: ConvolutionChoice?
    var tried = 0
    let all = candidates(work)
    for candidate in all {
      if isOver(tried) { break }
      tried += 1
      // A candidate that does not build or run on this device, or that is wrong, is skipped.
      do {
        guard try trial.complaint(candidate) == nil else { continue }
        if try trial.compare(candidate, best, turns: 5, dropping: true).isWon() { best = candidate }
      } catch { continue }
    }
    if tried == 0 && !all.isEmpty { return nil }
    let last = try trial.compare(best, nil, turns: 15, dropping: false)
    let wins = best != nil && last.isWon(by: Self.margin)
    let builtIn = last.old.median
    return TuningTable.Entry(
      choice: wins ? best : nil, builtInSeconds: builtIn, seconds: wins ? last.new.median : builtIn,
      isComplete: tried == all.count)
  }
}
