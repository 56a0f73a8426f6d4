import Compute

/// Updates all weights of a store, except frozen ones, from their gradients. Keeps the state that depends on earlier steps.
///
/// ```swift
/// let optimizer = try Optimizer(session.network.store, .init(.adamW, weightDecay: 1e-2))
/// // After each backward pass:
/// try optimizer.accumulate()
/// try optimizer.step(learningRate: 1e-3)
/// ```
public final class Optimizer {
  /// Rule by which weights follow gradients.
  public enum Kind: String, Codable, CaseIterable, Sendable {
    /// Stochastic gradient descent with momentum, like PyTorch's `torch.optim.SGD`.
    case sgd
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019), like PyTorch's `torch.optim.AdamW`.
    case adamW = "adamw"
    /// SGD with a separate learning rate for each filter and matrix, for large batches (You, Gitman & Ginsburg 2017). Scales and
    /// biases have the common rate and no weight decay.
    case lars
  }

  /// Options of the steps that stay the same during a run.
  public struct Options: Hashable, Codable, Sendable {
    /// Rule by which weights follow gradients.
    public var kind: Kind
    /// Momentum of ``Kind/sgd`` and ``Kind/lars``; see ``SGDRule``.
    public var momentum: Double
    /// Whether to use Nesterov's form of momentum; see ``SGDRule``.
    public var nesterov: Bool
    /// Weight decay, at least 0. Its effect depends on the kind, see ``SGDRule`` and ``AdamWRule``.
    public var weightDecay: Double
    /// Upper bound of the norm of all gradients; nil for no bound.
    public var maximumNorm: Double?
    /// Whether several backward passes may precede a step.
    public var accumulates: Bool
    /// Factors of the learning rate. If several prefixes of a name match, the longest counts.
    public var rateScales: [RateScale]
    /// Factor of the learning rate of the biases of batch normalization, above 0, in addition to ``rateScales``. Their weight decay
    /// is divided by it, so that they decay as without it.
    public var biasRateScale: Double

    /// Creates options. The defaults are those of He et al. 2015.
    public init(
      _ kind: Kind = .sgd, momentum: Double = 0.9, nesterov: Bool = false, weightDecay: Double = 1e-4,
      maximumNorm: Double? = nil, accumulates: Bool = false, rateScales: [RateScale] = [], biasRateScale: Double = 1
    ) {
      self.kind = kind
      self.momentum = momentum
      self.nesterov = nesterov
      self.weightDecay = weightDecay
      self.maximumNorm = maximumNorm
      self.accumulates = accumulates
      self.rateScales = rateScales
      self.biasRateScale = biasRateScale
    }
  }

  /// Factor of the learning rate of some layers.
  public struct RateScale: Hashable, Codable, Sendable {
    /// Name of a layer or of a part of the network, for example `fc` or `layer4`.
    public var prefix: String
    /// Factor, at least 0.
    public var factor: Double

    /// Multiplies the learning rate of the layer or part `prefix`, and of everything within it, by a factor.
    public init(prefix: String, factor: Double) {
      self.prefix = prefix
      self.factor = factor
    }
  }

  /// Trust coefficient of You et al.: the fraction of its norm by which a tensor changes at a learning rate of 1.
  public static let trust = 0.001

  /// Options, which stay the same during a run.
  public let options: Options
  /// State arenas with the layout of the weights: `velocity`, or `mean` and `square`.
  public let state: [(name: String, arena: Tensor)]
  /// Loss scale that the gradients carry, see ``LossScale``; nil for none.
  public let lossScale: Tensor?
  /// Guard that leaves out steps with numbers that are not finite; nil for none.
  public let stepGuard: StepGuard?
  /// Number of steps so far. Set it when a run is resumed.
  public var steps = 0

  let store: ParameterStore
  private let backend: any Backend
  /// Sum of the gradients of several backward passes, and the number of passes.
  private let accumulated: Tensor?
  private var parts = 0
  /// Number of backward passes of the last step; 0 before the first.
  private var lastParts = 0
  /// Sums of losses and hits of the passes since the last step, which the guard checks.
  private var metrics: Tensor?
  private let norms: Tensor?
  private let spans: [Span]

  /// Adjacent parameters that are treated alike, as slices of the arenas.
  private struct Span {
    let weights, gradients: Tensor
    let state: [Tensor]
    let rateScale, weightDecay: Double
    /// Index of the norms, see ``LayerAdaptation/index``; nil without adaptation.
    let normIndex: Int?
  }

  /// Creates an optimizer whose state is zero.
  /// - Parameters:
  ///   - scalingLoss: whether the loss is scaled dynamically, for activations in float16.
  ///   - limit: number of steps in a row with numbers that are not finite after which nothing changes any more, see ``StepGuard``;
  ///     nil to take all steps.
  /// - Precondition: the store is allocated, with gradients.
  /// - Throws: ``Failure`` for a prefix that no layer has; errors of the backend, for example a lack of memory.
  public init(_ store: ParameterStore, _ options: Options = Options(), scalingLoss: Bool = false, guarding limit: Int? = nil)
    throws
  {
    for scale in options.rateScales { _ = try store.layers(scale.prefix) }
    (self.store, self.options) = (store, options)
    let backend = store.backend
    self.backend = backend
    func zeros() throws -> Tensor {
      let arena = try backend.tensor(store.weightsArena.shape)
      try backend.fill(arena, with: 0)
      return arena
    }
    let names = options.kind == .adamW ? ["mean", "square"] : ["velocity"]
    let state = try names.map { ($0, try zeros()) }
    let accumulated = options.accumulates ? try zeros() : nil
    lossScale = scalingLoss ? try backend.upload(HostTensor(LossScale.initial, shape: [LossScale.count])) : nil
    stepGuard = try limit.map { [lossScale] in try StepGuard(store, limit: $0, lossScale: lossScale) }

    var normCount = 1
    spans = try Self.runs(store, options).map { run in
      let isAdapted = run.isAdapted
      defer { if isAdapted { normCount += 2 } }
      func slice(_ arena: Tensor) throws -> Tensor { try store.slice(arena, from: run.first, through: run.last) }
      return Span(
        weights: try slice(store.weightsArena), gradients: try slice(accumulated ?? store.gradientsArena),
        state: try state.map { try slice($0.1) }, rateScale: run.rateScale * run.biasScale,
        weightDecay: options.kind == .lars && !isAdapted ? 0 : options.weightDecay / run.biasScale,
        normIndex: isAdapted ? normCount : nil)
    }
    norms = normCount > 1 || options.maximumNorm != nil ? try backend.tensor([normCount]) : nil
    (self.state, self.accumulated) = (state, accumulated)
  }

  /// Consecutive parameters that share a step, by their indices among the trainable ones.
  private struct Run {
    var first, last: Int
    let rateScale, biasScale: Double
    let isAdapted: Bool
  }

  private static func runs(_ store: ParameterStore, _ options: Options) -> [Run] {
    var runs: [Run] = []
    for (index, parameter) in store.parameters.enumerated() where !parameter.isFrozen {
      let scales = options.rateScales.filter { parameter.isIn($0.prefix) }
      let scale = scales.max { $0.prefix.count < $1.prefix.count }?.factor ?? 1
      let biasScale = options.biasRateScale != 1 && store.isNormalizationBias(parameter) ? options.biasRateScale : 1
      let isAdapted = options.kind == .lars && parameter.kind != .vector
      if let before = runs.last, before.last == index - 1, before.rateScale == scale, before.biasScale == biasScale,
        !before.isAdapted, !isAdapted
      {
        runs[runs.count - 1].last = index
      } else {
        runs.append(Run(first: index, last: index, rateScale: scale, biasScale: biasScale, isAdapted: isAdapted))
      }
    }
    return runs
  }

  /// Sum of the gradients of the passes since the last step, or of the last step if there was none since.
  var gradients: Tensor { accumulated ?? store.gradientsArena }

  /// Returns the factor that makes ``gradients`` the means that the last step used; nil before the first step.
  /// - Throws: errors of the backend.
  func gradientFactor() throws -> Double? {
    if lastParts == 0 { return nil }
    let scale = try lossScale.map { try backend.download($0).doubles[LossScale.current] } ?? 1
    return 1 / (Double(lastParts) * scale)
  }

  /// Prepares a forward pass: the guard keeps what the first pass of a step changes.
  /// - Throws: errors of the backend.
  package func beginPass() throws { if parts == 0 { try stepGuard?.begin() } }

  /// Adds the gradients that a backward pass has left in the store to those of earlier passes since the last step.
  /// - Parameter metrics: the sums to which the pass has added its losses, [3]. Without them the guard does not check the step.
  /// - Precondition: this is called once per step, unless the options say that gradients accumulate.
  public func accumulate(_ metrics: Tensor? = nil) throws {
    precondition(parts == 0 || options.accumulates, "[Optimizer] a second backward pass before a step")
    parts += 1
    self.metrics = metrics
    guard let accumulated else { return }
    if parts == 1 {
      try backend.copy(store.gradientsArena, into: accumulated)
    } else {
      try backend.add(accumulated, store.gradientsArena, relu: false, into: accumulated)
    }
  }

  /// Updates the weights by the mean of the gradients since the last step, unless a scaled gradient is not finite, or the guard
  /// leaves the step out.
  /// - Precondition: ``accumulate(_:)`` was called since the last step.
  public func step(learningRate: Double) throws {
    precondition(parts > 0, "[Optimizer] a step without gradients")
    if let lossScale { try backend.updateLossScale(lossScale, gradients: gradients) }
    let guarded = metrics == nil ? nil : stepGuard
    if let metrics { try guarded?.check(metrics, gradients: gradients) }
    metrics = nil
    if let norms {
      if options.maximumNorm != nil { try backend.squaredNorm(gradients, into: norms, at: 0) }
      for span in spans {
        guard let index = span.normIndex else { continue }
        try backend.squaredNorm(span.gradients, into: norms, at: index)
        try backend.squaredNorm(span.weights, into: norms, at: index + 1)
      }
    }
    steps += 1
    let use = GradientUse(
      factor: 1 / Double(parts), lossScale: guarded?.scale ?? lossScale, maximumNorm: options.maximumNorm, norms: norms)
    (lastParts, parts) = (parts, 0)
    for span in spans {
      let rate = learningRate * span.rateScale
      switch options.kind {
      case .sgd, .lars:
        let rule = SGDRule(
          learningRate: rate, momentum: options.momentum, weightDecay: span.weightDecay, nesterov: options.nesterov,
          adaptation: span.normIndex.map { LayerAdaptation(trust: Self.trust, index: $0) })
        try backend.sgdStep(span.weights, gradients: span.gradients, velocity: span.state[0], rule, use)
      case .adamW:
        try backend.adamWStep(
          span.weights, gradients: span.gradients, mean: span.state[0], square: span.state[1],
          AdamWRule(learningRate: rate, weightDecay: span.weightDecay, step: steps), use)
      }
    }
  }
}
