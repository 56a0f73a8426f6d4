import Compute
import Kernels

/// One way to compile one kernel: the function, its file, and the constants it is specialised by.
struct Specialisation: Hashable {
  let source: KernelSource
  let kernel: String
  /// `-D` names and values.
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

  /// Of each constant the value alone: one kernel's constants have the same names in most uses, and every launch looks its kernel up.
  func hash(into hasher: inout Hasher) {
    hasher.combine(kernel)
    for define in defines { hasher.combine(define.value) }
  }

  /// For the compiler, for example `-DVW=16 -DTC=2`.
  var options: String { defines.map { "-D\($0.name)=\($0.value)" }.joined(separator: " ") }

  /// For tables, without what is off, for example `convolution VW=16 TC=2`.
  var summary: String {
    ([kernel] + defines.filter { $0.value != "0" }.map { "\($0.name)=\($0.value)" }).joined(separator: " ")
  }
}

extension DataType {
  /// What tells a kernel how activations are stored (`vector.h`); nothing for float32, so that profiles stay readable.
  var storage: KeyValuePairs<String, Int> {
    switch self {
    case .float32: [:]
    case .float16: ["STORAGE": 1]
    case .bfloat16: ["STORAGE": 2]
    case .float64, .int32, .int64, .uint8: preconditionFailure("[storage] no kernel takes activations of \(self)")
    }
  }
}
