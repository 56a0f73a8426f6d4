import Compute

/// Leaves out the steps of training in which a number is not finite, on the device, so that no step waits for the host.
///
/// A step is at fault if its loss, a gradient or a running statistic is a NaN or an infinity. The weights, the state of the optimizer
/// and the running statistics then stay as they were before the step, and the sum of the losses becomes NaN, by which the host
/// learns of it. An overflow for which the loss scale is to blame is no fault; see ``LossScale``. After ``limit`` steps at fault in
/// a row nothing changes any more: what was before the last of them can still be read, although the host has enqueued later steps.
public final class StepGuard {
  /// Number of steps at fault in a row after which nothing changes any more, at least 1.
  public let limit: Int
  /// Scale that tells optimizers whether gradients are finite: the loss scale, or a constant one.
  let scale: Tensor
  private let flags, kept: Tensor
  /// Dynamic loss scale before the last step that began while the guard was open; nil without one.
  private let keptScale: Tensor?
  private let store: ParameterStore
  private let isScaled: Bool

  /// - Precondition: the store is allocated.
  /// - Throws: errors of the backend, for example a lack of memory.
  init(_ store: ParameterStore, limit: Int, lossScale: Tensor?) throws {
    precondition(limit > 0, "[StepGuard] a limit of \(limit)")
    (self.store, self.limit, isScaled) = (store, limit, lossScale != nil)
    let backend = store.backend
    flags = try backend.upload(HostTensor(GuardFlags.initial, shape: [GuardFlags.count]))
    scale = try lossScale ?? backend.upload(HostTensor(LossScale.constant, shape: [LossScale.count]))
    keptScale = try lossScale.map { _ in try backend.upload(HostTensor(LossScale.initial, shape: [LossScale.count])) }
    kept = try backend.tensor(store.stateArena.shape)
    try backend.fill(kept, with: 0)
  }

  /// Keeps the running statistics and the loss scale before a step.
  func begin() throws {
    try copyIfOpen(store.stateArena, into: kept)
    if let keptScale { try copyIfOpen(scale, into: keptScale) }
  }

  /// Returns the factor that the loss had in the last step, or in the step that has closed the guard, however many steps have
  /// followed; nil without a dynamic loss scale.
  /// - Throws: errors of the backend.
  public func lossScale() throws -> Double? { try keptScale.map { try store.backend.download($0).doubles[LossScale.next] } }

  /// Decides about a step, after its backward passes. Restores the running statistics if it is left out.
  func check(_ metrics: Tensor, gradients: Tensor) throws {
    try store.backend.guardStep(
      flags, scale: scale, metrics: metrics, statistics: store.stateArena, gradients: isScaled ? nil : gradients, limit: limit)
    try store.backend.copyIf(flags, at: GuardFlags.isLeftOut, kept, into: store.stateArena)
  }

  /// Copies elements unless nothing is to change any more.
  func copyIfOpen(_ x: Tensor, into y: Tensor) throws { try store.backend.copyIf(flags, at: GuardFlags.isOpen, x, into: y) }

  /// Sets the numbers of steps that were left out before a run was resumed. A dynamic loss scale has a number of its own.
  /// - Parameters:
  ///   - count: number of all such steps.
  ///   - row: number of those in a row at the end.
  /// - Throws: errors of the backend.
  public func resume(afterLeavingOut count: Int, inARow row: Int) throws {
    var state = GuardFlags.initial
    state[GuardFlags.row] = Float(row)
    try set(flags, to: state)
    if isScaled { return }
    var values = LossScale.constant
    values[LossScale.skipped] = Float(count)
    try set(scale, to: values)
  }

  private func set(_ tensor: Tensor, to values: [Float]) throws {
    try HostTensor(values, shape: tensor.shape).converted(to: tensor.type).bytes.withUnsafeBytes {
      try store.backend.write($0, to: tensor)
    }
  }
}
