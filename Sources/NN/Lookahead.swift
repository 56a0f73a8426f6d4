import Compute

/// Lookahead (Zhang, Lucas, Hinton & Ba 2019, "Lookahead optimizer: k steps forward, 1 step back"): slow weights follow the weights
/// that an optimizer trains. After every few steps they go a share of the way to them, and training goes on from there. The state
/// of the optimizer stays.
///
/// ```swift
/// let optimizer = try Optimizer(session.network.store)
/// let lookahead = try Lookahead(session.network.store, every: 5)
/// // After each step:
/// try lookahead.follow(step: optimizer.steps)
/// ```
public final class Lookahead {
  /// Share of the way to the trained weights that the slow weights go, α.
  public static let share = 0.5

  /// Number of steps between two moves of the slow weights, k.
  public let interval: Int
  /// Slow weights, with the layout of ``ParameterStore/weightsArena``.
  public let slow: Tensor
  private let store: ParameterStore
  private let stepGuard: StepGuard?

  /// Creates slow weights that start with the current weights.
  /// - Parameters:
  ///   - interval: number of steps between two moves, at least 1.
  ///   - stepGuard: guard of the steps. Once it lets nothing change any more, the weights stay as they are.
  /// - Throws: errors of the backend, for example a lack of memory.
  /// - Precondition: the store is allocated.
  public init(_ store: ParameterStore, every interval: Int, guardedBy stepGuard: StepGuard? = nil) throws {
    precondition(interval > 0, "[Lookahead] every \(interval) steps")
    (self.store, self.interval, self.stepGuard) = (store, interval, stepGuard)
    slow = try store.backend.tensor(store.weightsArena.shape)
    try store.backend.copy(store.weightsArena, into: slow)
  }

  /// Moves the slow weights if a step is one of those after which they move.
  /// - Parameter step: number of steps done.
  public func follow(step: Int) throws { if step % interval == 0 { try move() } }

  /// Computes slow ← slow + share·(weights − slow); weights ← slow. Does nothing if the two are equal.
  public func move() throws {
    try store.backend.moveAverage(slow, toward: store.weightsArena, by: Self.share)
    if let stepGuard {
      try stepGuard.copyIfOpen(slow, into: store.weightsArena)
    } else {
      try store.backend.copy(slow, into: store.weightsArena)
    }
  }
}
