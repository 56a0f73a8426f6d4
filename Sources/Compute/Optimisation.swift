/// The constants of one step of stochastic gradient descent.
public struct SGDRule: Hashable, Sendable {
  public var learningRate, momentum, weightDecay: Double
  public var nesterov: Bool
  /// How the rate follows from the tensor at hand; nil where it does not.
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

/// Layer-wise adaptive rates (You, Gitman & Ginsburg 2017, LARS): a tensor's step is multiplied by
/// λ = trust·‖w‖ / (‖g‖ + decay·‖w‖), or by 1 where one of the norms is 0.
public struct LayerAdaptation: Hashable, Sendable {
  /// The share of its norm by which a tensor changes at a rate of 1.
  public var trust: Double
  /// Where in ``GradientUse/norms`` the tensor's squares are: of its gradient as it is stored, then of itself.
  public var index: Int

  public init(trust: Double, index: Int) {
    self.trust = trust
    self.index = index
  }
}

/// The constants of one step of Adam with decoupled weight decay.
public struct AdamWRule: Hashable, Sendable {
  public var learningRate, weightDecay: Double
  /// The share of the past in the moving averages of gradients and of their squares, in 0 ..< 1.
  public var beta1, beta2: Double
  public var epsilon: Double
  /// The number of the step, from 1.
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

/// What an optimiser multiplies the stored gradients by: ``factor``, divided by the loss scale, and less where the norm of all of them
/// would be above ``maximumNorm``, as PyTorch's `clip_grad_norm_` does it.
public struct GradientUse {
  /// 1/n for the sums of n batches.
  public var factor: Double
  /// [``LossScale/count``]; nil where gradients carry no scale.
  public var lossScale: Tensor?
  /// The most that ‖g‖ over all parameters may be; nil for any.
  public var maximumNorm: Double?
  /// [1 + …]: first Σ g² over all gradients as they are stored, then what ``LayerAdaptation/index`` points at; nil where neither is needed.
  public var norms: Tensor?

  /// - Precondition: there are norms where there is a maximum.
  public init(factor: Double = 1, lossScale: Tensor? = nil, maximumNorm: Double? = nil, norms: Tensor? = nil) {
    precondition(maximumNorm == nil || norms != nil, "[GradientUse] a maximum without a norm")
    self.factor = factor
    self.lossScale = lossScale
    self.maximumNorm = maximumNorm
    self.norms = norms
  }

  /// The tensors that it reads, and the same with others in their place.
  public var tensors: [Tensor] { [lossScale, norms].compactMap { $0 } }
  public func map(_ transform: (Tensor) -> Tensor) -> GradientUse {
    GradientUse(factor: factor, lossScale: lossScale.map(transform), maximumNorm: maximumNorm, norms: norms.map(transform))
  }
}

/// The elements of a loss scale, which lives on the device so that no step waits for the host. Gradients of a scaled loss are large
/// enough for float16, whose smallest number is 6e-8 (Micikevicius et al., "Mixed precision training", 2018).
public enum LossScale {
  /// The factor of the next loss.
  public static let next = 0
  /// The factor that the gradients at hand have.
  public static let current = 1
  /// 1 where these are all finite, else 0.
  public static let isFinite = 2
  /// Steps since the scale last changed.
  public static let steps = 3
  /// Steps that were left out, since the beginning.
  public static let skipped = 4
  /// The number of elements.
  public static let count = 5

  /// As PyTorch's `GradScaler` begins.
  public static let initial: [Float] = [65536, 65536, 1, 0, 0]
  /// Steps without an infinity after which the scale is doubled.
  public static let growthInterval = 2000
}
