import Compute
import Kernels

extension OpenCLBackend {
  /// What the device can do at most, measured: floating-point operations a second, and bytes read and written a second by a copy
  /// of 128 MB. The better of three runs each.
  public func measurePeaks() throws -> (flops: Double, bytes: Double) {
    let items = traits.wantedItems
    let steps = 100_000
    let out = try tensor([items, traits.vectorWidth])
    let work = Specialisation(.peak, "peak", ["VW": traits.vectorWidth])
    let arithmetic = try shortestTime {
      try launch(work, global: [items], groupsOfOne: true, [.buffer(out.buffer), .int(steps), .float(1e-9)])
    }
    let source = try tensor([16 << 20])
    let destination = try tensor([16 << 20])
    try fill(source, with: 1)
    let copying = try shortestTime { try copy(source, into: destination) }
    let operations = items * steps * 24 * traits.vectorWidth * 2
    return (Double(operations) / arithmetic, Double(source.byteCount * 2) / copying)
  }

  /// Seconds, after one run that is not timed.
  private func shortestTime(_ body: () throws -> Void) throws -> Double {
    try body()
    try finish()
    return try (0..<3).map { _ in
      let start = ContinuousClock.now
      try body()
      try finish()
      return (ContinuousClock.now - start).seconds
    }.min() ?? .infinity
  }
}
