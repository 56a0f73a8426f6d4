import Support

/// Random values that repeat after a prime number of elements, so that their repetition does not coincide with any dimension.
/// They stand for tensors of any size, and take little memory and time.
package struct RepeatedValues: Sendable {
  /// Number of elements after which the values repeat.
  package static let period = 16_381

  /// Element type.
  package let type: DataType
  private let first: HostTensor
  private let values: [Double]

  private static let uniform: [Float] = {
    var random = Philox(seed: 0, stream: 0)
    return (0..<period).map { _ in random.uniform() * 2 - 1 }
  }()

  /// - Parameters:
  ///   - type: float32 or a 16-bit type, to which the values are rounded.
  ///   - start: position of the first value among all, so that several tensors differ.
  ///   - isPositive: whether the values lie in 0.5 ... 1.5, so that their sums do not cancel, and not in −1 ... 1.
  package init(_ type: DataType, from start: Int = 0, isPositive: Bool = false) {
    let turned = Self.uniform[(start % Self.period)...] + Self.uniform[..<(start % Self.period)]
    let elements = isPositive ? turned.map { 1 + $0 / 2 } : Array(turned)
    self.type = type
    first = HostTensor(elements, shape: [Self.period]).converted(to: type)
    values = first.doubles
  }

  /// Returns an element of a tensor that holds these values, by its position in memory.
  package subscript(index: Int) -> Double { values[index % Self.period] }

  /// Returns a tensor that holds these values.
  package func tensor(_ shape: Shape) -> HostTensor {
    let byteCount = shape.count * type.byteCount
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    while bytes.count < byteCount { bytes += first.bytes.prefix(byteCount - bytes.count) }
    return HostTensor(shape: shape, type: type, bytes: bytes)
  }
}
