import Compute
import Support

extension OpenCLBackend {
  /// Measures the peak performance of the device over all its cores: floating-point operations per second, and bytes read and
  /// written per second by copies of 128 MB. Each is the best of several runs, which are so long that starting them does not
  /// count.
  public func measurePeaks() throws -> (flops: Double, bytes: Double) { (try peakOfArithmetic(), try peakOfCopies()) }

  private func peakOfArithmetic() throws -> Double {
    let items = traits.wantedItems
    let out = try tensor([items, traits.vectorWidth])
    let sums = min(24, traits.accumulators)
    let terms = traits.terms(width: traits.vectorWidth)
    let kernel = KernelSpecialization("peak.cl", "multiply_add", ["VW": traits.vectorWidth, "SUMS": sums], pairs(terms))
    func seconds(_ steps: Int) throws -> Double {
      // x ← 0.999·x + term stays near term / 0.001, far from values that are slow or not finite, and so does x ← x +
      // 2·0.999·term.
      try time {
        try launch(KernelLaunch(kernel, groupsOfOne: [items]), [.buffer(out.buffer), .int(steps), .float(0.999), .float(1e-3)])
      }
    }
    // Sleeping threads take a while to wake. Double the steps until that time is nothing compared with the run.
    var steps = 10_000
    _ = try seconds(steps)
    while steps < 1 << 28, try seconds(steps) < 0.03 { steps *= 2 }
    let shortest = try (0..<5).map { _ in try seconds(steps) }.min() ?? .infinity
    return Double(items * sums * traits.vectorWidth * 2 * terms) * Double(steps) / shortest
  }

  /// Returns the better of the project's own kernel, which runs on all cores, and the driver's copy, which may bypass the caches.
  private func peakOfCopies() throws -> Double {
    let source = try tensor([16 << 20])
    let destination = try tensor([16 << 20])
    try fill(source, with: 1)
    let vectors = source.count / traits.vectorWidth
    let kernel = KernelSpecialization(
      "peak.cl", "copy", ["VW": traits.vectorWidth, "BLOCKS": traits.kernelClass == .registerTiled ? 1 : 0])
    let ways = [
      { [self] in
        try launch(
          kernel, global: [traits.kernelClass == .registerTiled ? traits.wantedItems : vectors],
          [.buffer(source.buffer), .buffer(destination.buffer), .int(vectors)])
      },
      { [self] in try copy(source, into: destination) },
    ]
    // The first run of each is not counted.
    let times = try ways.flatMap { way in try (0..<6).map { _ in try time(way) }.dropFirst() }
    return Double(source.byteCount * 2) / (times.min() ?? .infinity)
  }

  private func time(_ body: () throws -> Void) throws -> Double {
    try finish()
    let start = ContinuousClock.now
    try body()
    try finish()
    return (ContinuousClock.now - start).seconds
  }
}
