import Compute

/// A variant of a kernel to compile: its file in `Kernels/OpenCL`, the function, and the constants that specialize it.
struct KernelSpecialization: Hashable {
  let file, kernel: String
  /// Names and values of the `-D` options.
  private(set) var defines: [Define]

  /// One `-D` option. Its text is made only for compilers and profiles.
  struct Define: Hashable {
    let name: String
    let value: Value
  }

  /// Value of a constant: a number, or the name of a type in OpenCL C.
  enum Value: Hashable {
    case number(Int)
    case type(String)

    var text: String {
      switch self {
      case .number(let number): String(number)
      case .type(let name): name
      }
    }
  }

  init(_ file: String, _ kernel: String, _ defines: KeyValuePairs<String, Int>...) {
    (self.file, self.kernel, self.defines) = (file, kernel, [])
    self.defines.reserveCapacity(defines.reduce(2) { $0 + $1.count })
    for more in defines { add(more) }
  }

  mutating func add(_ more: KeyValuePairs<String, Int>) {
    for (name, value) in more { defines.append(Define(name: name, value: .number(value))) }
  }

  /// Adds a constant that is the name of a type, for example `uchar`.
  mutating func add(_ name: String, type: String) { defines.append(Define(name: name, value: .type(type))) }

  /// Hashes only the numbers of the constants: in most uses one kernel's constants have the same names, and every launch looks
  /// its kernel up.
  func hash(into hasher: inout Hasher) {
    hasher.combine(kernel)
    for case .number(let number) in defines.lazy.map(\.value) { hasher.combine(number) }
  }

  /// Compiler options, for example `-DVW=16 -DTC=2`.
  var options: String { defines.map { "-D\($0.name)=\($0.value.text)" }.joined(separator: " ") }

  /// Text for tables without constants that are 0, for example `convolution VW=16 TC=2`.
  var summary: String {
    ([kernel] + defines.filter { $0.value != .number(0) }.map { "\($0.name)=\($0.value.text)" }).joined(separator: " ")
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
