import Compute
import Support

/// A tensor of a case: its shape and its contents before the operation.
struct Operand: Sendable {
  let name: String
  let shape: Shape
  let isRead: Bool
  let isWritten: Bool
  /// Element type in the precision float32.
  let type: DataType
  private let values: Values

  private init(_ name: String, _ shape: Shape, read: Bool, written: Bool, _ values: Values, _ type: DataType) {
    (self.name, self.shape, self.values, self.type) = (name, shape, values, type)
    (isRead, isWritten) = (read, written)
  }

  static func input(_ name: String, _ shape: Shape, _ values: Values = .normal) -> Operand {
    Operand(name, shape, read: true, written: false, values, values.type)
  }

  /// Creates an operand that is only written. It starts as NaN, or as a value that no operation writes.
  static func output(_ name: String, _ shape: Shape, _ type: DataType = .float32) -> Operand {
    Operand(name, shape, read: false, written: true, .unwritten(type), type)
  }

  /// Creates an operand that is read and written: by an operation in place, or by one that adds to its contents.
  static func updated(_ name: String, _ shape: Shape, _ values: Values = .normal) -> Operand {
    Operand(name, shape, read: true, written: true, values, values.type)
  }

  /// Number of bytes moved if the operation touches each element once.
  var traffic: Int { shape.count * type.byteCount * ((isRead ? 1 : 0) + (isWritten ? 1 : 0)) }

  func contents(seed: UInt64) -> HostTensor {
    let stream = name.utf8.reduce(0 as UInt32) { $0 &* 31 &+ UInt32($1) }
    var random = Philox(seed: seed, stream: stream)
    return values.make(shape, &random)
  }
}

/// A rule that generates a tensor's elements.
struct Values: Sendable {
  let type: DataType
  let make: @Sendable (Shape, inout Philox) -> HostTensor

  private static func floats(_ element: @escaping @Sendable (inout Philox) -> Float) -> Values {
    Values(type: .float32) { shape, random in
      var elements = [Float](repeating: 0, count: shape.count)
      for i in elements.indices { elements[i] = element(&random) }
      return HostTensor(elements, shape: shape)
    }
  }

  /// Values with mean 0 and deviation 1.
  static let normal = normal(mean: 0, deviation: 1)

  /// Returns sums of two uniform numbers, scaled to the given mean and deviation.
  static func normal(mean: Float, deviation: Float) -> Values {
    let scale = 6.0.squareRoot()
    return floats { mean + deviation * ($0.uniform() + $0.uniform() - 1) * Float(scale) }
  }

  /// Returns values that are uniform between the bounds, for scales and variances, which stay away from zero.
  static func uniform(_ lower: Float, _ upper: Float) -> Values { floats { lower + (upper - lower) * $0.uniform() } }

  /// Returns values for the factors of an output: normal, or positive if the output has few elements. A sum of terms of either
  /// sign may nearly cancel; it then errs by far more than u·√n times its own size. Among many sums, such a sum has no weight.
  static func factors(of output: Shape) -> Values { output.count < 16 ? .uniform(0.5, 1.5) : .normal }

  /// Returns few different values, so that many elements are equal.
  static func levels(_ count: Int) -> Values { floats { Float($0.below(count)) - 1 } }

  /// Returns values as ``levels(_:)`` does, of which every seventh is a NaN on average.
  static func levelsWithNaN(_ count: Int) -> Values {
    floats { random in
      let level = Float(random.below(count)) - 1
      return random.below(7) == 0 ? .nan : level
    }
  }

  /// Returns int32 values in 0 ..< bound.
  static func indices(below bound: Int) -> Values {
    Values(type: .int32) { shape, random in
      HostTensor((0..<shape.count).map { _ in Int32(random.below(bound)) }, shape: shape)
    }
  }

  /// Values of type uint8 in 0 ... 255.
  static let pixels = Values(type: .uint8) { shape, random in
    HostTensor((0..<shape.count).map { _ in UInt8(random.below(256)) }, shape: shape)
  }

  static func exactly(_ elements: [Float]) -> Values { Values(type: .float32) { shape, _ in HostTensor(elements, shape: shape) } }
  static func exactly(_ elements: [Int32]) -> Values { Values(type: .int32) { shape, _ in HostTensor(elements, shape: shape) } }
  static func exactly(_ elements: [UInt8]) -> Values { Values(type: .uint8) { shape, _ in HostTensor(elements, shape: shape) } }

  fileprivate static func unwritten(_ type: DataType) -> Values {
    switch type {
    case .uint8: Values(type: type) { shape, _ in HostTensor([UInt8](repeating: 0xA5, count: shape.count), shape: shape) }
    case .int32, .int64:
      Values(type: .int32) { shape, _ in HostTensor([Int32](repeating: -0x5A5A_5A5A, count: shape.count), shape: shape) }
    case .float32, .float16, .bfloat16, .float64: floats { _ in .nan }
    }
  }
}
