import Compute
import Conformance
import OpenCLBackend

/// Finds, for each pass of each convolution, the fastest of the ways that compute it right.
///
/// A candidate is first run on the whole batch and compared with the reference: every image's result depends on that image alone,
/// so a few images are enough, and a filter's gradient is summed over a few while the others have a gradient of zero. A candidate
/// that errs by more than its algorithm's bound, that does not build or that does not run is refused. Those that remain are timed
/// in turn with the best so far, and the winner must at last beat the built-in choice by ``margin``.
public final class Tuner {
  /// How much less time than the built-in choice a candidate must take.
  public static let margin = 0.03

  private let backend: OpenCLBackend
  private let reference: any Backend
  private let candidates: (ConvolutionWork) -> [ConvolutionChoice]

  /// - Parameters:
  ///   - backend: one of its own, whose memory pool and choices are spoilt.
  ///   - candidates: what is tried; nil for the backend's own.
  public init(
    _ backend: OpenCLBackend, reference: any Backend, candidates: ((ConvolutionWork) -> [ConvolutionChoice])? = nil
  ) {
    (self.backend, self.reference) = (backend, reference)
    backend.fallsBack = false
    self.candidates = candidates ?? { backend.candidates(for: $0) }
  }

  /// Tunes work in the order of its weight, and gives each piece a share of the time that goes with its weight.
  /// - Parameters:
  ///   - weights: what is to be tuned, and how much of the step it makes up, in any unit.
  ///   - budget: seconds, or nil for no limit.
  ///   - shouldStop: asked between runs; what was found until then counts.
  ///   - report: told of each result, and how many there are to come.
  /// - Throws: ``Failure`` where the built-in choice itself is wrong or does not run.
  public func tune(
    _ weights: [ConvolutionWork: Double], budget: Double?, shouldStop: () -> Bool,
    report: (_ work: ConvolutionWork, _ entry: TuningTable.Entry, _ left: Int) throws -> Void
  ) throws {
    // Of equal weights in a fixed order.
    let order = weights.sorted { ($1.value, $0.key.description) < ($0.value, $1.key.description) }
    let start = ContinuousClock.now
    var weightLeft = order.reduce(0) { $0 + $1.value }
    for (index, (work, weight)) in order.enumerated() where !shouldStop() {
      let now = ContinuousClock.now
      let left = budget.map { $0 - (now - start).seconds }
      if let left, left <= 0 { return }
      let deadline = left.map { now + .seconds($0 * weight / weightLeft) }
      weightLeft -= weight
      // What is begun comes to a first candidate, however short the time.
      let entry = try tune(work) { tried in
        shouldStop() || (tried > 0 && deadline.map { ContinuousClock.now >= $0 } ?? false)
      }
      if let entry { try report(work, entry, order.count - index - 1) }
    }
  }

  /// - Parameter isOver: whether to try no more candidates after so many.
  /// - Returns: nil where it was over before the first candidate.
  private func tune(_ work: ConvolutionWork, _ isOver: (Int) -> Bool) throws -> TuningTable.Entry? {
    let trial = try ConvolutionTrial(work, on: backend, reference: reference)
    defer { backend.choose(nil, for: work) }
    if let complaint = try trial.complaint(nil) {
      throw Failure("\(work) is wrong on \(backend.name): \(complaint); `resnet verify` tells more")
    }
    var best: ConvolutionChoice?
    var tried = 0
    let all = candidates(work)
    for candidate in all {
      if isOver(tried) { break }
      tried += 1
      // What does not build or run on this device, or is wrong, is no candidate.
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
