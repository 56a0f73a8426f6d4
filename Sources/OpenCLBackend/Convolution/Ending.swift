import Compute
import OpenCL

/// Epilogue of a convolution kernel: how it stores each accumulator. Mirrors `epilogue.h`.
struct Ending {
  let y: Tensor
  let epilogue: ConvolutionEpilogue?
  let accumulate: Bool
  /// Destination of the moments of the stored values, [chunks,3,K]; only for kernels that take it.
  let moments: Tensor?

  init(into y: Tensor, _ epilogue: ConvolutionEpilogue? = nil, accumulate: Bool = false, moments: Tensor? = nil) {
    (self.y, self.epilogue, self.accumulate, self.moments) = (y, epilogue, accumulate, moments)
  }

  /// Kernel arguments y, scale, bias and residual.
  var arguments: [Kernel.Argument] {
    [y, epilogue?.scale ?? y, epilogue?.bias ?? y, epilogue?.residual ?? y].map { .buffer($0.buffer) }
  }

  /// Bytes of y and of the epilogue's operands that are read and written.
  var bytes: Int { y.byteCount * (accumulate ? 2 : 1) + otherBytes }

  /// Bytes that the epilogue reads and writes besides y.
  var otherBytes: Int {
    [epilogue?.scale, epilogue?.bias, epilogue?.residual, moments].reduce(0) { $0 + ($1?.byteCount ?? 0) }
  }

  var momentsArgument: Kernel.Argument { .buffer((moments ?? y).buffer) }

  /// Constants that differ from their default. The others are left out so that profiles stay readable.
  var defines: KeyValuePairs<String, Int> {
    if moments != nil { return ["STATISTICS": 1] }
    guard let epilogue else { return accumulate ? ["ACCUMULATE": 1] : [:] }
    return ["AFFINE": 1, "RESIDUAL": epilogue.residual == nil ? 0 : 1, "RELU": epilogue.relu ? 1 : 0]
  }
}
