import CKernelParameters

/// Constants of one step of stochastic gradient descent.
public struct SGDRule: Hashable, Sendable {
  public var learningRate, momentum, weightDecay: Double
  public var nesterov: Bool
  /// Layer-wise adaptation of the learning rate to the tensor; nil for none.
  public var adaptation: LayerAdaptation?

  public init(
    learningRate: Double, momentum: Double = 0, weightDecay: Double = 0, nesterov: Bool = false,
    adaptation: LayerAdaptation? = nil
  ) {
    self.learningRate = learningRate
    self.momentum = momentum
    self.weightDecay = weightDecay
    self.nesterov = nesterov
    self.adaptation = adaptation
  }
}

/// Layer-wise adaptive learning rates (You, Gitman & Ginsburg 2017, LARS): a tensor's step is multiplied by
/// λ = trust·‖w‖ / (‖g‖ + decay·‖w‖), or by 1 if one of the norms is 0.
public struct LayerAdaptation: Hashable, Sendable {
  /// Fraction of its norm by which a tensor changes at a learning rate of 1.
  public var trust: Double
  /// Index into ``GradientUse/norms`` of the tensor's sums of squares: first that of its gradient as stored, then that of its
  /// weights.
  public var index: Int

  public init(trust: Double, index: Int) {
    self.trust = trust
    self.index = index
  }
}

/// Constants of one step of Adam with decoupled weight decay.
public struct AdamWRule: Hashable, Sendable {
  public var learningRate, weightDecay: Double
  /// Weight of the past in the moving averages of the gradients and of their squares, in 0 ..< 1.
  public var beta1, beta2: Double
  public var epsilon: Double
  /// Number of the step, counted from 1.
  public var step: Int

  public init(
    learningRate: Double, weightDecay: Double = 1e-2, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
    step: Int
  ) {
    precondition(step > 0, "[AdamWRule] step \(step)")
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    (self.beta1, self.beta2) = (beta1, beta2)
    self.epsilon = epsilon
    self.step = step
  }
}

/// The way in which an optimizer uses the stored gradients. It multiplies them by ``factor`` and divides them by the loss scale.
/// It scales them down further if the norm of all gradients would exceed ``maximumNorm``, like PyTorch's `clip_grad_norm_`.
public struct GradientUse {
  /// Constant factor, for example 1/n if the gradients are sums over n batches.
  public var factor: Double
  /// Loss scale, [``LossScale/count``]; nil if the gradients carry no scale.
  public var lossScale: Tensor?
  /// Upper bound of ‖g‖ over all parameters; nil for no bound.
  public var maximumNorm: Double?
  /// Sums of squares, [1 + …]: first Σ g² over all gradients as stored, then the elements at ``LayerAdaptation/index``. nil
  /// if neither is needed.
  public var norms: Tensor?

  /// - Precondition: `norms` is given if `maximumNorm` is given.
  public init(factor: Double = 1, lossScale: Tensor? = nil, maximumNorm: Double? = nil, norms: Tensor? = nil) {
    precondition(maximumNorm == nil || norms != nil, "[GradientUse] a maximum without a norm")
    self.factor = factor
    self.lossScale = lossScale
    self.maximumNorm = maximumNorm
    self.norms = norms
  }
}

/// Indices into a loss scale, as `parameters.h` has them for the kernels, and its constants. A loss scale stays on the device,
/// so that no step waits for the host. Gradients of a scaled loss are large enough for float16, whose smallest number is 6e-8
/// (Micikevicius et al., "Mixed precision training", 2018).
public enum LossScale {
  /// Index of the factor for the next loss.
  public static let next = SCALE_NEXT
  /// Index of the factor that the current gradients carry.
  public static let current = SCALE_CURRENT
  /// Index of the flag: 1 if the current gradients are all finite, else 0.
  public static let isFinite = SCALE_IS_FINITE
  /// Index of the number of steps since the scale last changed.
  public static let steps = SCALE_STEPS
  /// Index of the number of steps skipped since the beginning.
  public static let skipped = SCALE_SKIPPED
  /// The number of elements.
  public static let count = SCALE_COUNT

  /// Initial values, as in PyTorch's `GradScaler`.
  public static let initial: [Float] = [65536, 65536, 1, 0, 0]
  /// Values of a scale that leaves gradients as they are.
  public static let constant: [Float] = [1, 1, 1, 0, 0]
  /// Number of steps with finite gradients after which the scale is doubled.
  public static let growthInterval = 2000
}

/// Indices into the flags of a guard, as `parameters.h` has them for the kernels. The flags stay on the device; see
/// ``GuardOperations``.
public enum GuardFlags {
  /// Index of the flag: 1 if the current step is left out, else 0.
  public static let isLeftOut = GUARD_IS_LEFT_OUT
  /// Index of the flag: 1 until the guard is closed for good, then 0.
  public static let isOpen = GUARD_IS_OPEN
  /// Index of the number of steps in a row, up to the current one, that were at fault.
  public static let row = GUARD_ROW
  /// The number of elements.
  public static let count = GUARD_COUNT

  /// Values before the first step.
  public static let initial: [Float] = [0, 1, 0]
}
