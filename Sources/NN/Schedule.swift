import Glibc

/// The learning rate of every step of a training run.
///
/// ```swift
/// let schedule = Schedule(.cosine, peak: 0.1, totalSteps: 1000, warmupSteps: 100)
/// print(schedule.rate(at: 99))  // 0.1
/// ```
public struct Schedule: Hashable, Sendable {
  /// Course of the rate after the warm-up.
  ///
  /// ```swift
  /// let superconvergence = Schedule(.oneCycle, peak: 0.4, totalSteps: 1000)
  /// print(superconvergence.rate(at: 0))  // 0.016
  /// ```
  public enum Kind: String, Codable, CaseIterable, Sendable {
    case constant
    /// Half a cosine, down to zero after the last step (Loshchilov & Hutter 2017, without restarts).
    case cosine
    /// A tenth of the peak from half of the steps on, a hundredth from three quarters on (He et al. 2015, section 4.2).
    case step
    /// The policy of Smith & Topin 2018, as PyTorch's `OneCycleLR` has it by default: half a cosine from 1/25 of the peak up to the
    /// peak in the first 3/10 of the steps, then half a cosine down to 1/250,000 of the peak at the last step. Momentum stays as it
    /// is. It takes no warm-up, as it has a rise of its own.
    case oneCycle = "one-cycle"
  }

  /// Course of the rate after the warm-up.
  public let kind: Kind
  /// Learning rate after the warm-up.
  public let peak: Double
  /// Number of steps of the whole run; the schedule ends at the last one.
  public let totalSteps: Int
  /// Number of warm-up steps, during which the rate rises linearly to its peak (Goyal et al. 2017).
  public let warmupSteps: Int

  /// - Parameters:
  ///   - peak: the rate after the warm-up.
  ///   - warmupSteps: number of steps during which the rate rises linearly to `peak`; 0 for ``Kind/oneCycle``.
  public init(_ kind: Kind, peak: Double, totalSteps: Int, warmupSteps: Int = 0) {
    precondition(totalSteps >= 0 && warmupSteps >= 0, "[Schedule] \(totalSteps) steps, \(warmupSteps) of them warm-up")
    precondition(kind != .oneCycle || warmupSteps == 0, "[Schedule] one cycle with \(warmupSteps) warm-up steps")
    self.kind = kind
    self.peak = peak
    self.totalSteps = totalSteps
    self.warmupSteps = warmupSteps
  }

  /// Returns the rate of a step, counted from 0.
  public func rate(at step: Int) -> Double {
    if step < warmupSteps { return peak * Double(step + 1) / Double(warmupSteps) }
    switch kind {
    case .constant:
      return peak
    case .cosine:
      let span = totalSteps - warmupSteps
      let progress = span > 0 ? min(Double(step - warmupSteps) / Double(span), 1) : 1
      return peak * 0.5 * (1 + cos(Double.pi * progress))
    case .step:
      if 4 * step >= 3 * totalSteps { return peak / 100 }
      return 2 * step >= totalSteps ? peak / 10 : peak
    case .oneCycle:
      return oneCycleRate(at: step)
    }
  }

  private func oneCycleRate(at step: Int) -> Double {
    let first = peak / 25
    // The steps, counted from 0, with the highest and the lowest rate. The first lies between two steps, and before step 0 in a
    // run of up to three steps, which then begins on the way down.
    let (top, end) = (0.3 * Double(totalSteps) - 1, Double(totalSteps) - 1)
    let step = min(Double(step), end)
    func between(_ from: Double, _ to: Double, _ progress: Double) -> Double {
      to + (from - to) / 2 * (1 + cos(Double.pi * progress))
    }
    if step <= top { return between(first, peak, top > 0 ? step / top : 1) }
    return between(peak, first / 1e4, (step - top) / (end - top))
  }
}
