import Compute

/// One pass of a network over one batch: runs operations on a backend and, in training, keeps what their gradients need.
///
/// Reverse-mode differentiation with an explicit tape. A model is written forward only; each operation (`Differentiable/`) has
/// its pullback beneath its forward. ``backward()`` runs the pullbacks last to first and drops each one right after it ran, so
/// that the activations it held go back to the pool while the pass is still under way.
///
/// A parameter's gradient is overwritten, not added to: a parameter serves one operation in a pass. The gradient of a parameter
/// whose result the loss does not depend on is left as it was.
public final class Pass {
  /// What a pass is for.
  public enum Mode: Hashable, Sendable {
    /// Records pullbacks; batch normalisation uses the batch's own statistics and moves the running estimates.
    case training
    /// Records nothing; batch normalisation uses the running estimates.
    case inference
  }

  /// Receives the gradient with respect to an operation's result, and owns it: it may overwrite it.
  public typealias Pullback = (_ dy: Tensor) throws -> Void

  /// Where it runs.
  public let backend: any Backend
  /// What it is for.
  public let mode: Mode
  /// Told the name of each layer before its operations are called, forward and backward; empty outside layers.
  public var onLayer: ((String) -> Void)?

  private struct Step {
    let layer: String
    let slot: GradientSlot
    let pullback: Pullback
  }
  private var tape: [Step] = []
  private var run = Run.only
  private var currentLayer = "" {
    didSet { onLayer?(currentLayer) }
  }

  let folded: FoldedParameters

  /// - Parameter folded: what earlier passes over the same parameters have derived from them, in training from frozen ones.
  public init(on backend: any Backend, mode: Mode, folded: FoldedParameters = FoldedParameters()) {
    self.backend = backend
    self.mode = mode
    self.folded = folded
  }

  /// Runs `body` with ``onLayer`` told that its operations belong to the layer `name`.
  public func layer<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
    let outer = currentLayer
    currentLayer = name
    defer { currentLayer = outer }
    return try body()
  }

  /// Whether operations note their pullbacks and keep what those need.
  var isRecording: Bool {
    if case .first = run { return false }
    return mode == .training
  }

  /// Whether batch normalisation will ask for the statistics of the batch.
  var takesStatistics: Bool {
    if case .second = run { return false }
    return mode == .training
  }

  /// Makes an operation's result a variable and, while recording, notes its pullback.
  ///
  /// A pullback should capture the tensors and slots that it needs, never a whole ``Variable``: what it captures lives until
  /// it ran. It is skipped where no gradient reaches the result.
  public func record(_ result: Tensor, pullback: @escaping Pullback) -> Variable {
    guard mode == .training else { return Variable(result) }
    let slot = GradientSlot()
    // The first of two runs has slots only so that operations find the same in both.
    guard isRecording else { return Variable(result, slot: slot) }
    tape.append(Step(layer: currentLayer, slot: slot, pullback: pullback))
    return Variable(result, slot: slot)
  }

  /// Computes all gradients from those that the loss has put into its slots, and empties the tape.
  /// - Throws: what the backend throws.
  public func backward() throws {
    while let step = tape.popLast() {
      guard let dy = step.slot.take() else { continue }
      currentLayer = step.layer
      try step.pullback(dy)
    }
    currentLayer = ""
  }
}

// MARK: Recomputation

extension Pass {
  /// Which run of the operations this is, where ``recomputing(_:_:)`` runs them twice.
  fileprivate enum Run {
    /// The only one.
    case only
    /// The first of two: nothing is recorded, but what batch normalisation finds is kept for the second.
    case first([Normalisation])
    /// The second, which records; what is left of the first's findings, in reverse.
    case second([Normalisation])
  }

  /// One batch normalisation of the first run: the statistics, and y where it is the result of the whole part.
  fileprivate struct Normalisation {
    let channels: BatchNormChannels
    var y: Tensor?
  }

  /// Runs a part of a network so that of it only x and the result are kept; the backward pass runs it again when it gets there
  /// (Chen et al. 2016, "Training deep nets with sublinear memory cost").
  ///
  /// The gradients are the same to the last bit. Running estimates move in the first run only: the second takes its statistics.
  /// - Parameter body: a pure function of x and the parameters: it calls the same operations each time.
  /// - Precondition: not within another part that is run twice.
  public func recomputing(_ x: Variable, _ body: @escaping (Variable, Pass) throws -> Variable) throws -> Variable {
    guard mode == .training else { return try body(x, self) }
    guard case .only = run else { preconditionFailure("[Pass] recomputing within recomputing") }
    let (result, isVariable, kept) = try firstRun(x, body)
    // All of it is frozen.
    if !isVariable { return Variable(result) }
    return record(result) { [unowned self] dy in
      run = .second(kept)
      defer { run = .only }
      // Its pullbacks are now the last on the tape, where backward() goes on.
      try body(x, self).slot?.add(dy, on: backend)
    }
  }

  private func firstRun(
    _ x: Variable, _ body: (Variable, Pass) throws -> Variable
  ) throws -> (result: Tensor, isVariable: Bool, kept: [Normalisation]) {
    run = .first([])
    defer { run = .only }
    let y = try body(Variable(x.value, slot: x.slot.map { _ in GradientSlot() }), self)
    guard case .first(var kept) = run else { return (y.value, y.slot != nil, []) }
    if let last = kept.last?.y, last.storage !== y.value.storage { kept[kept.count - 1].y = nil }
    return (y.value, y.slot != nil, kept.reversed())
  }

  /// The channels that `find` gives and the y that `normalise` makes of them; in a second run those of the first, as far as
  /// they were kept.
  func normalisation(
    _ find: () throws -> BatchNormChannels, _ normalise: (BatchNormChannels) throws -> Tensor
  ) throws -> (channels: BatchNormChannels, y: Tensor) {
    if case .second(var kept) = run, let known = kept.popLast() {
      run = .second(kept)
      return (known.channels, try known.y ?? normalise(known.channels))
    }
    let channels = try find()
    let y = try normalise(channels)
    if case .first(var kept) = run {
      // Only the last can be the whole part's result.
      if !kept.isEmpty { kept[kept.count - 1].y = nil }
      run = .first(kept + [Normalisation(channels: channels, y: y)])
    }
    return (channels, y)
  }
}

/// A tensor in a pass, with the place where its gradient is gathered.
public struct Variable {
  /// What was computed.
  public let value: Tensor
  /// Nil where no gradient is wanted: input images, and everything in inference.
  public let slot: GradientSlot?

  public init(_ value: Tensor, slot: GradientSlot? = nil) {
    self.value = value
    self.slot = slot
  }

  /// Of the value.
  public var shape: Shape { value.shape }
}

/// Gathers the gradient of one variable from all operations that read it.
public final class GradientSlot {
  /// The sum of what has arrived so far; nil before the first.
  public private(set) var gradient: Tensor?

  public init() {}

  /// Hands the gradient over and empties the slot.
  public func take() -> Tensor? {
    defer { gradient = nil }
    return gradient
  }

  /// Adds a gradient that no one else holds: the first is kept as it is, later ones are added into it.
  public func add(_ other: Tensor, on backend: any Backend) throws {
    if let gradient {
      try backend.add(gradient, other, relu: false, into: gradient)
    } else {
      gradient = other
    }
  }

  /// Adds a gradient that an operation can add to a buffer by itself; `write` is told whether to.
  func accumulate(
    _ shape: Shape, _ type: DataType, on backend: any Backend, write: (_ dx: Tensor, _ accumulate: Bool) throws -> Void
  ) throws {
    if let gradient {
      try write(gradient, true)
    } else {
      let dx = try backend.batchTensor(shape, type)
      try write(dx, false)
      gradient = dx
    }
  }
}
