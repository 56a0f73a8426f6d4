import Compute
import OpenCL

/// What becomes of the sums of a convolution, as `epilogue.h` sees it.
struct Ending {
  let y: Tensor
  let epilogue: ConvolutionEpilogue?
  let accumulate: Bool
  /// [chunks,3,K], where the moments of what was stored go; only for kernels that take them.
  let moments: Tensor?

  init(into y: Tensor, _ epilogue: ConvolutionEpilogue? = nil, accumulate: Bool = false, moments: Tensor? = nil) {
    (self.y, self.epilogue, self.accumulate, self.moments) = (y, epilogue, accumulate, moments)
  }

  /// y, scale, bias, residual.
  var arguments: [Kernel.Argument] {
    [y, epilogue?.scale ?? y, epilogue?.bias ?? y, epilogue?.residual ?? y].map { .buffer($0.buffer) }
  }

  /// What is read and written of y and of what the epilogue needs.
  var bytes: Int { y.byteCount * (accumulate ? 2 : 1) + otherBytes }

  /// What the epilogue reads and writes besides y.
  var otherBytes: Int {
    [epilogue?.scale, epilogue?.bias, epilogue?.residual, moments].reduce(0) { $0 + ($1?.byteCount ?? 0) }
  }

  var momentsArgument: Kernel.Argument { .buffer((moments ?? y).buffer) }

  /// Only what is not the default, so that profiles stay readable.
  var defines: KeyValuePairs<String, Int> {
    if moments != nil { return ["STATISTICS": 1] }
    guard let epilogue else { return accumulate ? ["ACCUMULATE": 1] : [:] }
    return ["AFFINE": 1, "RESIDUAL": epilogue.residual == nil ? 0 : 1, "RELU": epilogue.relu ? 1 : 0]
  }
}
