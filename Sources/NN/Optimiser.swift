import Compute

/// Moves all weights of a store along their gradients, but for those that are frozen, and keeps what it remembers of earlier steps.
public final class Optimiser {
  /// How weights follow gradients.
  public enum Kind: String, Codable, CaseIterable, Sendable {
    /// Stochastic gradient descent with momentum, as PyTorch's `torch.optim.SGD`.
    case sgd
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch's `torch.optim.AdamW`.
    case adamW = "adamw"
    /// SGD in which each filter and matrix has a rate of its own, for large batches (You, Gitman & Ginsburg 2017). Scales and biases
    /// have the common rate and no decay.
    case lars
  }

  /// Everything about the steps that stays the same over a run.
  public struct Options: Hashable, Codable, Sendable {
    /// How weights follow gradients.
    public var kind: Kind
    /// Of ``Kind/sgd`` and ``Kind/lars``; see ``SGDRule``.
    public var momentum: Double
    /// Nesterov's form of momentum; see ``SGDRule``.
    public var nesterov: Bool
    /// At least 0; what it does is the kind's affair, see ``SGDRule`` and ``AdamWRule``.
    public var weightDecay: Double
    /// The most that the norm of all gradients may be; nil for any.
    public var maximumNorm: Double?
    /// Whether a step may follow several backward passes.
    public var accumulates: Bool
    /// Factors of the learning rate; of several prefixes of a name the longest counts.
    public var rateScales: [RateScale]

    /// The defaults are those of He et al. 2015.
    public init(
      _ kind: Kind = .sgd, momentum: Double = 0.9, nesterov: Bool = false, weightDecay: Double = 1e-4,
      maximumNorm: Double? = nil, accumulates: Bool = false, rateScales: [RateScale] = []
    ) {
      self.kind = kind
      self.momentum = momentum
      self.nesterov = nesterov
      self.weightDecay = weightDecay
      self.maximumNorm = maximumNorm
      self.accumulates = accumulates
      self.rateScales = rateScales
    }
  }

  /// The learning rate of some layers.
  public struct RateScale: Hashable, Codable, Sendable {
    /// A layer or a part of the network, for example `fc` or `layer4`.
    public var prefix: String
    /// At least 0.
    public var factor: Double

    /// The rate of what is called `prefix`, and of all that is within it, times a factor.
    public init(prefix: String, factor: Double) {
      self.prefix = prefix
      self.factor = factor
    }
  }

  /// You et al.'s coefficient: the share of its norm by which a tensor changes at a rate of 1.
  public static let trust = 0.001

  /// Everything that stays the same over a run.
  public let options: Options
  /// Arenas in the layout of the weights: `velocity`, or `mean` and `square`.
  public let state: [(name: String, arena: Tensor)]
  /// The factor that the gradients carry, as ``LossScale`` has it; nil for none.
  public let lossScale: Tensor?
  /// Steps so far; to be set where a run goes on.
  public var steps = 0

  private let store: ParameterStore
  private let backend: any Backend
  /// Σ of the gradients of several backward passes, and how many.
  private let accumulated: Tensor?
  private var parts = 0
  private let norms: Tensor?
  private let spans: [Span]

  /// Parameters that lie side by side and are treated alike, as slices of the arenas.
  private struct Span {
    let weights, gradients: Tensor
    let state: [Tensor]
    let rateScale, weightDecay: Double
    /// See ``LayerAdaptation/index``; nil without.
    let normIndex: Int?
  }

  /// Starts with a state of zeros.
  /// - Parameter scalingLoss: whether the loss is scaled dynamically, for activations in float16.
  /// - Precondition: the store is allocated, with gradients.
  /// - Throws: ``Failure`` for a prefix that no layer has; what the backend throws, for example for lack of memory.
  public init(_ store: ParameterStore, _ options: Options = Options(), scalingLoss: Bool = false) throws {
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

    var normCount = 1
    spans = try Self.runs(store, options).map { run in
      let isAdapted = run.isAdapted
      defer { if isAdapted { normCount += 2 } }
      func slice(_ arena: Tensor) throws -> Tensor { try store.slice(arena, from: run.first, through: run.last) }
      return Span(
        weights: try slice(store.weightsArena), gradients: try slice(accumulated ?? store.gradientsArena),
        state: try state.map { try slice($0.1) }, rateScale: run.rateScale,
        weightDecay: options.kind == .lars && !isAdapted ? 0 : options.weightDecay, normIndex: isAdapted ? normCount : nil)
    }
    norms = normCount > 1 || options.maximumNorm != nil ? try backend.tensor([normCount]) : nil
    (self.state, self.accumulated) = (state, accumulated)
  }

  /// Parameters in a row, by their numbers among those that can be trained, which share a step.
  private struct Run {
    var first, last: Int
    let rateScale: Double
    let isAdapted: Bool
  }

  private static func runs(_ store: ParameterStore, _ options: Options) -> [Run] {
    var runs: [Run] = []
    for (index, parameter) in store.parameters.enumerated() where !parameter.isFrozen {
      let scales = options.rateScales.filter { parameter.isIn($0.prefix) }
      let scale = scales.max { $0.prefix.count < $1.prefix.count }?.factor ?? 1
      let isAdapted = options.kind == .lars && parameter.kind != .vector
      if let before = runs.last, before.last == index - 1, before.rateScale == scale, !before.isAdapted, !isAdapted {
        runs[runs.count - 1].last = index
      } else {
        runs.append(Run(first: index, last: index, rateScale: scale, isAdapted: isAdapted))
      }
    }
    return runs
  }

  /// Adds the gradients that a backward pass has left in the store to those of earlier ones since the last step.
  /// - Precondition: once a step, unless the options say that gradients accumulate.
  public func accumulate() throws {
    precondition(parts == 0 || options.accumulates, "[Optimiser] a second backward pass before a step")
    parts += 1
    guard let accumulated else { return }
    if parts == 1 {
      try backend.copy(store.gradientsArena, into: accumulated)
    } else {
      try backend.add(accumulated, store.gradientsArena, relu: false, into: accumulated)
    }
  }

  /// Moves the weights along the mean of the gradients since the last step, unless a scaled one is an infinity.
  /// - Precondition: ``accumulate()`` was called since.
  public func step(learningRate: Double) throws {
    precondition(parts > 0, "[Optimiser] a step without gradients")
    let gradients = accumulated ?? store.gradientsArena
    if let lossScale { try backend.updateLossScale(lossScale, gradients: gradients) }
    if let norms {
      if options.maximumNorm != nil { try backend.squaredNorm(gradients, into: norms, at: 0) }
      for span in spans {
        guard let index = span.normIndex else { continue }
        try backend.squaredNorm(span.gradients, into: norms, at: index)
        try backend.squaredNorm(span.weights, into: norms, at: index + 1)
      }
    }
    steps += 1
    let use = GradientUse(factor: 1 / Double(parts), lossScale: lossScale, maximumNorm: options.maximumNorm, norms: norms)
    parts = 0
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
