import Compute
import Dispatch

/// An element type that kernels read.
protocol CPUElement: BitwiseCopyable, Sendable {
  static var type: DataType { get }
  var double: Double { get }
}

/// An element type of floating-point tensors: Float or Double.
protocol CPUScalar: CPUElement, BinaryFloatingPoint {}

extension Float: CPUScalar {
  static var type: DataType { .float32 }
  var double: Double { Double(self) }
}

extension Double: CPUScalar {
  static var type: DataType { .float64 }
  var double: Double { self }
}

extension Int32: CPUElement {
  static var type: DataType { .int32 }
  var double: Double { Double(self) }
}

extension UInt8: CPUElement {
  static var type: DataType { .uint8 }
  var double: Double { Double(self) }
}

/// Returns max(x, 0); a NaN stays a NaN.
@inline(__always) func rectified<T: CPUScalar>(_ x: T) -> T { x <= 0 ? 0 : x }

/// Adds a · x to sums. This is the inner loop of every matrix product here.
@inline(__always) func addScaled<T: CPUElement>(
  _ a: Double, _ x: UnsafePointer<T>, to sums: UnsafeMutablePointer<Double>, count: Int
) {
  for i in 0..<count { sums[i] += a * x[i].double }
}

/// Lends `count` zeros to `body`.
@inline(__always) func withZeros<Result>(_ count: Int, _ body: (UnsafeMutablePointer<Double>) -> Result) -> Result {
  let zeros = UnsafeMutablePointer<Double>.allocate(capacity: count)
  defer { zeros.deallocate() }
  zeros.initialize(repeating: 0, count: count)
  return body(zeros)
}

/// Runs the iterations on all cores. Each must write only elements of its own, so that the values do not depend on the schedule.
func inParallel(_ iterations: Int, _ body: (Int) -> Void) {
  if iterations == 1 { return body(0) }
  withoutActuallyEscaping(body) { body in
    // Iterations share nothing that they write, and concurrentPerform returns after the last.
    nonisolated(unsafe) let body = body
    DispatchQueue.concurrentPerform(iterations: iterations) { body($0) }
  }
}
