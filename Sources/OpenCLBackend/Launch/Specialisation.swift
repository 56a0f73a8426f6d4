import Compute
import Kernels

/// A variant of a kernel to compile: the function, its file, and the constants that specialize it.
struct Specialisation: Hashable {
  let source: KernelSource
  let kernel: String
  /// Names and values of the `-D` options.
  var defines: [Define]

  struct Define: Hashable {
    let name: String
    let value: String
  }

  init(
    _ source: KernelSource, _ kernel: String, _ defines: KeyValuePairs<String, Int>...
  ) {
    self.source = source
    self.kernel = kernel
    self.defines = defines.joined().map { Define(name: $0.key, value: String($0.value)) }
  }

  mutating func add(_ more: KeyValuePairs<String, Int>) {
    defines += more.map { Define(name: $0.key, value: String($0.value)) }
  }

  /// Hashes only the values of the constants: in most uses one kernel's constants have the same names, and every launch looks its
  /// kernel up.
  func hash(into hasher: inout Hasher) {
    hasher.combine(kernel)
    for define in defines { hasher.combine(define.value) }
  }

  /// Compiler options, for example `-DVW=16 -DTC=2`.
  var options: String { defines.map { "-D\($0.name)=\($0.value)" }.joined(separator: " ") }

  /// Text for tables without constants that are 0, for example `convolution VW=16 TC=2`.
  var summary: String {
    ([kernel] + defines.filter { $0.value != "0" }.map { "\($0.name)=\($0.value)" }).joined(separator: " ")
  }
}

extension DataType {
  /// Constant that tells a kernel how activations are stored (`vector.h`); none for float32, so that profiles stay readable.
  var storage: KeyValuePairs<String, Int> {
    switch self {
    case .float32: [:]
    case .float16: ["STORAGE": 1]
    case .bfloat16: ["STORAGE": 2]
    case .float64, .int32, .int64, .uint8: preconditionFailure("[storage] no kernel takes activations of \(self)")
    }
  }
}
