import Compute

/// One pass of a network over one batch. It runs operations on a backend and, in training, keeps what their gradients need.
///
/// Differentiation is reverse-mode with an explicit tape. A model contains only the forward computation; each operation
/// (`Differentiable/`) has its pullback below its forward code. ``backward()`` runs the pullbacks from last to first and drops
/// each one right after it ran. The activations that it held return to the pool while the pass is still in progress.
///
/// A parameter's gradient is overwritten, not added to, so a parameter must serve only one operation in a pass. If the loss does
/// not depend on a parameter's result, the parameter's gradient stays as it was.
///
/// ```swift
/// func step(_ network: ResNet, _ images: Tensor, _ labels: Tensor, _ metrics: Tensor) throws {
///   let pass = Pass(on: backend, mode: .training)
///   let logits = try network(Variable(images), pass)
///   try pass.crossEntropy(logits, labels: labels, metrics: metrics)
///   try withExtendedLifetime(logits) { try pass.backward() }
/// }
/// ```
public final class Pass {
  /// Purpose of a pass.
  public enum Mode: Hashable, Sendable {
    /// Records pullbacks. Batch normalization uses the batch's own statistics and updates the running statistics.
    case training
    /// Records nothing. Batch normalization uses the running statistics.
    case inference
  }

  /// Receives the gradient with respect to an operation's result. The pullback owns this gradient and may overwrite it.
  public typealias Pullback = (_ dy: Tensor) throws -> Void

  /// Backend that executes the pass.
  public let backend: any Backend
  /// Training or inference.
  public let mode: Mode
  /// Callback that receives the name of each layer before its operations are called, forward and backward. The name is empty
  /// outside layers.
  public var onLayer: ((String) -> Void)?
  /// Callback that receives the results of each ``ConvolutionUnit`` on the way forward. The unit then takes more memory, as
  /// nothing is fused, and its results differ by rounding. No part may be recomputed.
  public var onResponse: ResponseObserver?

  /// Stage of a ``ConvolutionUnit`` whose result is observed.
  public enum ObservedStage: Hashable, Sendable {
    /// After batch normalization or the bias, before the shortcut is added and before ReLU.
    case response
    /// After the shortcut and ReLU.
    case activation
  }

  /// Receives the name of a convolution, the stage and the result [N,P,Q,K] at this stage.
  public typealias ResponseObserver = (_ layer: String, _ stage: ObservedStage, _ y: Tensor) throws -> Void

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

  /// - Parameter folded: tensors that earlier passes have derived from the same parameters; in training, only from frozen ones.
  public init(on backend: any Backend, mode: Mode, folded: FoldedParameters = FoldedParameters()) {
    self.backend = backend
    self.mode = mode
    self.folded = folded
  }

  /// Runs `body`, and tells ``onLayer`` that its operations belong to the layer `name`.
  public func layer<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
    let outer = currentLayer
    currentLayer = name
    defer { currentLayer = outer }
    return try body()
  }

  /// Whether operations record their pullbacks and keep what those need.
  var isRecording: Bool {
    if case .first = run { return false }
    return mode == .training
  }

  /// Whether batch normalization will need the statistics of the batch.
  var takesStatistics: Bool {
    if case .second = run { return false }
    return mode == .training
  }

  /// Makes an operation's result a variable and, while recording, records its pullback.
  ///
  /// A pullback should capture the tensors and slots that it needs, never a whole ``Variable``, since everything it captures
  /// lives until it has run. A pullback is skipped if no gradient reaches the result.
  public func record(_ result: Tensor, pullback: @escaping Pullback) -> Variable {
    guard mode == .training else { return Variable(result) }
    let slot = GradientSlot()
    // The first of two runs has slots only so that operations see the same in both runs.
    guard isRecording else { return Variable(result, slot: slot) }
    tape.append(Step(layer: currentLayer, slot: slot, pullback: pullback))
    return Variable(result, slot: slot)
  }

  /// Computes all gradients from those that the loss has put into its slots, and empties the tape.
  /// - Throws: errors of the backend.
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
  /// Tells which run of the operations this is; ``recomputing(_:_:)`` runs them twice.
  fileprivate enum Run {
    /// The only run.
    case only
    /// The first of two runs. It records nothing, but keeps the results of batch normalization for the second run.
    case first([Normalization])
    /// The second run, which records. It holds the remaining results of the first run, in reverse order.
    case second([Normalization])
  }

  /// One batch normalization of the first run: the statistics, and y if y is the result of the whole part.
  fileprivate struct Normalization {
    let channels: BatchNormChannels
    var y: Tensor?
  }

  /// Runs a part of a network with activation checkpointing: only x and the result are kept, and the backward pass runs the part
  /// again when it gets there (Chen et al. 2016, "Training deep nets with sublinear memory cost").
  ///
  /// The gradients are the same to the last bit. Only the first run updates the running statistics; the second run reuses its
  /// statistics.
  /// - Parameter body: a pure function of x and the parameters that calls the same operations each time.
  /// - Precondition: the call is not within another part that is recomputed.
  public func recomputing(_ x: Variable, _ body: @escaping (Variable, Pass) throws -> Variable) throws -> Variable {
    guard mode == .training else { return try body(x, self) }
    guard case .only = run else { preconditionFailure("[Pass] recomputing within recomputing") }
    let (result, isVariable, kept) = try firstRun(x, body)
    // All of the part is frozen.
    if !isVariable { return Variable(result) }
    return record(result) { [unowned self] dy in
      run = .second(kept)
      defer { run = .only }
      // The pullbacks of the part are now the last on the tape, where backward() continues.
      try body(x, self).slot?.add(dy, on: backend)
    }
  }

  private func firstRun(
    _ x: Variable, _ body: (Variable, Pass) throws -> Variable
  ) throws -> (result: Tensor, isVariable: Bool, kept: [Normalization]) {
    run = .first([])
    defer { run = .only }
    let y = try body(Variable(x.value, slot: x.slot.map { _ in GradientSlot() }), self)
    guard case .first(var kept) = run else { return (y.value, y.slot != nil, []) }
    if let last = kept.last?.y, last.storage !== y.value.storage { kept[kept.count - 1].y = nil }
    return (y.value, y.slot != nil, kept.reversed())
  }

  /// Returns the channels from `find` and the y that `normalize` computes from them. A second run returns those of the first run,
  /// as far as they were kept.
  func normalization(
    _ find: () throws -> BatchNormChannels, _ normalize: (BatchNormChannels) throws -> Tensor
  ) throws -> (channels: BatchNormChannels, y: Tensor) {
    if case .second(var kept) = run, let known = kept.popLast() {
      run = .second(kept)
      return (known.channels, try known.y ?? normalize(known.channels))
    }
    let channels = try find()
    let y = try normalize(channels)
    if case .first(var kept) = run {
      // Only the last one can be the result of the whole part.
      if !kept.isEmpty { kept[kept.count - 1].y = nil }
      run = .first(kept + [Normalization(channels: channels, y: y)])
    }
    return (channels, y)
  }
}

/// A tensor in a pass, with the slot that accumulates its gradient.
///
/// ```swift
/// let x = try backend.batchTensor([8, 32])
/// try backend.fill(x, with: -1)
/// let y = try Pass(on: backend, mode: .inference).relu(Variable(x))
/// print(y.shape)  // [8, 32]
/// ```
public struct Variable {
  /// Result tensor.
  public let value: Tensor
  /// Slot of the gradient; nil if no gradient is needed: for input images, and for everything in inference.
  public let slot: GradientSlot?

  public init(_ value: Tensor, slot: GradientSlot? = nil) {
    self.value = value
    self.slot = slot
  }

  /// Shape of ``value``.
  public var shape: Shape { value.shape }
}

/// Accumulates the gradient of one variable from all operations that read it.
///
/// ```swift
/// /// y = 2·x, whose gradient is 2·dy.
/// func doubled(_ x: Variable, _ pass: Pass) throws -> Variable {
///   let (backend, slot) = (pass.backend, x.slot)
///   let y = try backend.batchTensor(x.shape)
///   try backend.add(x.value, x.value, relu: false, into: y)
///   return pass.record(y) { dy in
///     guard let slot else { return }
///     try backend.add(dy, dy, relu: false, into: dy)
///     try slot.add(dy, on: backend)
///   }
/// }
/// ```
public final class GradientSlot {
  /// Sum of the gradients that have arrived so far; nil before the first.
  public private(set) var gradient: Tensor?

  public init() {}

  /// Returns the gradient and empties the slot.
  public func take() -> Tensor? {
    defer { gradient = nil }
    return gradient
  }

  /// Accumulates `other`, taking ownership of it. The first gradient is kept as it is; later ones are added into it.
  public func add(_ other: Tensor, on backend: any Backend) throws {
    if let gradient {
      try backend.add(gradient, other, relu: false, into: gradient)
    } else {
      gradient = other
    }
  }

  /// Accumulates `other`, which stays with its owner.
  func addCopy(of other: Tensor, on backend: any Backend) throws {
    try accumulate(other.shape, other.type, on: backend) { dx, accumulate in
      if accumulate {
        try backend.add(dx, other, relu: false, into: dx)
      } else {
        try backend.copy(other, into: dx)
      }
    }
  }

  /// Accumulates the gradient of an operation that can itself add to a buffer; `write` is told whether to add.
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
