import CPUBackend
import Compute
import OpenCL
import OpenCLBackend
import Support
import Tuning

/// The choice of convolution kernels.
///
/// ```swift
/// var device = Device.best
/// device.tuning = .fast
/// ```
public enum TuningMode: String, CaseIterable, Sendable {
  /// Built-in choices only.
  case off
  /// Results of earlier tuning, and built-in choices for the rest.
  case known
  /// Tunes what is missing first, for about half a minute.
  case fast
  /// Tunes what is missing first, however long it takes.
  case full
}

/// A display of how far tuning is.
package protocol TuningProgress: AnyObject {
  /// Called after each convolution.
  /// - Parameter left: convolutions that are not tuned yet.
  func report(_ work: ConvolutionWork, _ entry: TuningTable.Entry, left: Int)
  func finish()
}

extension Device {
  /// Seconds of ``TuningMode/fast``.
  private static let fastBudget = 30.0

  /// The choices of kernels for some work; nil for those of the user's cache.
  func tuningTable(_ convolutions: (() throws -> [ConvolutionWork: Double])?) throws -> TuningTable? {
    switch (tuning, convolutions) {
    case (.known, _): return nil
    case (.off, _), (_, nil): return TuningTable()
    case (.fast, let convolutions?), (.full, let convolutions?):
      let devices = try openCLDevices()
      try tryDrivers(of: devices)
      return try tune(try convolutions(), on: devices[0], budget: tuning == .fast ? Self.fastBudget : nil)
    }
  }

  /// Tunes what the cache does not hold yet, and keeps each result as it is found.
  /// - Parameters:
  ///   - weights: convolutions, and the multiply-accumulates spent on each.
  ///   - budget: seconds after which tuning ends; nil for no limit. A request to stop ends it, too.
  /// - Returns: all that is known then.
  package func tune(
    _ weights: [ConvolutionWork: Double], on device: OpenCL.Device, budget: Double?
  ) throws -> TuningTable {
    let cache = try cache(of: device)
    var table = cache?.loadTable() ?? TuningTable()
    // An entry that was cut short counts as done where time is short again.
    let missing = weights.filter { work, _ in table[work, math].map { !$0.isComplete && budget == nil } ?? true }
    if missing.isEmpty { return table }
    let tuner = Tuner(try OpenCLBackend(device: device, math: math, programs: cache), reference: CPUBackend())
    let progress = hooks.tuningProgress?(missing.count)
    defer { progress?.finish() }
    func keep(_ work: ConvolutionWork, _ entry: TuningTable.Entry, left: Int) {
      table[work, math] = entry
      var found = TuningTable()
      found[work, math] = entry
      cache?.save(found)
      progress?.report(work, entry, left: left)
    }
    try tuner.tune(missing, budget: budget, shouldStop: hooks.shouldStop, report: keep)
    return table
  }
}
