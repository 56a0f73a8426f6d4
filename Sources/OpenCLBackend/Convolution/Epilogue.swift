import Compute
import OpenCL

/// Epilogue of a convolution kernel: how it stores each accumulator. Mirrors `epilogue.h`.
struct Epilogue {
  /// Treatment of an accumulator by the kernel. Each kind needs a kernel of its own.
  enum Kind: Hashable {
    case store
    /// Adds to the contents of y.
    case accumulate
    /// Stores, and takes the moments of the stored values.
    case moments
    /// Scales and shifts each channel, and adds a residual or applies ReLU if the flags say so.
    case affine(residual: Bool, relu: Bool)
  }

  let y: Tensor
  let channels: ConvolutionEpilogue?
  let accumulate: Bool
  /// Destination of the moments of the stored values, [chunks,3,K]; only for kernels that take it.
  let moments: Tensor?

  init(into y: Tensor, _ channels: ConvolutionEpilogue? = nil, accumulate: Bool = false, moments: Tensor? = nil) {
    (self.y, self.channels, self.accumulate, self.moments) = (y, channels, accumulate, moments)
  }

  var kind: Kind {
    if moments != nil { return .moments }
    guard let channels else { return accumulate ? .accumulate : .store }
    return .affine(residual: channels.residual != nil, relu: channels.relu)
  }

  /// Kernel arguments y, scale, bias and residual.
  var arguments: [Kernel.Argument] {
    [y, channels?.scale ?? y, channels?.bias ?? y, channels?.residual ?? y].map { .buffer($0.buffer) }
  }

  /// Bytes of y and of the epilogue's operands that are read and written.
  var bytes: Int { y.byteCount * (accumulate ? 2 : 1) + otherBytes }

  /// Bytes that the epilogue reads and writes besides y.
  var otherBytes: Int {
    [channels?.scale, channels?.bias, channels?.residual, moments].reduce(0) { $0 + ($1?.byteCount ?? 0) }
  }

  var momentsArgument: Kernel.Argument { .buffer((moments ?? y).buffer) }
}

extension Epilogue.Kind {
  /// Constants that differ from their default. The others are left out so that profiles stay readable.
  var defines: KeyValuePairs<String, Int> {
    switch self {
    case .store: [:]
    case .accumulate: ["ACCUMULATE": 1]
    case .moments: ["STATISTICS": 1]
    case .affine(let residual, let relu): ["AFFINE": 1, "RESIDUAL": residual ? 1 : 0, "RELU": relu ? 1 : 0]
    }
  }
}

/// Launches of one kernel, one for each kind of epilogue that a pass may have.
struct EpilogueLaunches: Hashable {
  private struct Entry: Hashable {
    let kind: Epilogue.Kind
    let launch: KernelLaunch
  }

  private let entries: [Entry]

  init(_ kinds: [Epilogue.Kind], _ launch: (Epilogue.Kind) -> KernelLaunch) {
    entries = kinds.map { Entry(kind: $0, launch: launch($0)) }
  }

  /// - Precondition: the epilogue is one of those for which the pass was planned.
  subscript(_ epilogue: Epilogue) -> KernelLaunch {
    let kind = epilogue.kind
    guard let entry = entries.first(where: { $0.kind == kind }) else {
      preconditionFailure("[convolution] a pass that was planned without the epilogue \(kind)")
    }
    return entry.launch
  }
}
