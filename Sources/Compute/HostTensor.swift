/// Elements in ordinary memory: the contents of files, the images of data sets, and values read back from a device.
///
/// ```swift
/// let host = HostTensor([1, 2, 3, 4] as [Float], shape: [2, 2])
/// let x = try backend.upload(host)
/// print(try backend.download(x).doubles)  // [1.0, 2.0, 3.0, 4.0]
/// ```
public struct HostTensor: Sendable, Equatable {
  public let shape: Shape
  public let type: DataType
  /// The elements in the machine's byte order (little-endian on every supported one), row-major.
  public var bytes: [UInt8]

  /// - Precondition: `bytes` holds exactly the elements of this shape and type.
  public init(shape: Shape, type: DataType, bytes: [UInt8]) {
    precondition(bytes.count == shape.count * type.byteCount, "[HostTensor] \(bytes.count) bytes for \(shape) of \(type)")
    self.shape = shape
    self.type = type
    self.bytes = bytes
  }

  public init(_ elements: [Float], shape: Shape) { self.init(elements, .float32, shape) }
  public init(_ elements: [Double], shape: Shape) { self.init(elements, .float64, shape) }
  public init(_ elements: [Int32], shape: Shape) { self.init(elements, .int32, shape) }
  public init(_ elements: [UInt8], shape: Shape) { self.init(shape: shape, type: .uint8, bytes: elements) }

  private init<Element: BitwiseCopyable>(_ elements: [Element], _ type: DataType, _ shape: Shape) {
    self.init(shape: shape, type: type, bytes: elements.withUnsafeBytes { Array($0) })
  }

  public var count: Int { shape.count }

  /// Returns the elements as values of type `Element`.
  /// - Precondition: `Element` is the Swift type of ``type``.
  public func elements<Element: BitwiseCopyable>(as _: Element.Type = Element.self) -> [Element] {
    precondition(MemoryLayout<Element>.size == type.byteCount, "[HostTensor] \(type) read as \(Element.self)")
    return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
      initialized = count
    }
  }

  /// The elements converted to Double, whatever their type.
  public var doubles: [Double] {
    switch type {
    case .float32: elements(as: Float.self).map(Double.init)
    case .float16: elements(as: Float16.self).map(Double.init)
    case .bfloat16: elements(as: UInt16.self).map { Double(Float(bfloat16: $0)) }
    case .float64: elements(as: Double.self)
    case .int32: elements(as: Int32.self).map(Double.init)
    case .int64: elements(as: Int64.self).map(Double.init)
    case .uint8: bytes.map(Double.init)
    }
  }

  /// The elements converted to Float, whatever their type.
  public var floats: [Float] {
    switch type {
    case .float32: elements()
    case .float16: elements(as: Float16.self).map(Float.init)
    case .bfloat16: elements(as: UInt16.self).map(Float.init(bfloat16:))
    case .float64, .int32, .int64, .uint8: doubles.map(Float.init)
    }
  }

  /// Whether no element is a NaN or an infinity.
  public var isFinite: Bool {
    switch type {
    case .float32: elements(as: Float.self).allSatisfy(\.isFinite)
    case .float16: elements(as: Float16.self).allSatisfy(\.isFinite)
    case .bfloat16: elements(as: UInt16.self).allSatisfy { Float(bfloat16: $0).isFinite }
    case .float64: elements(as: Double.self).allSatisfy(\.isFinite)
    case .int32, .int64, .uint8: true
    }
  }

  /// Returns the same elements in another type, rounded to nearest.
  /// - Precondition: if the target is an integer type, every element is representable in it.
  public func converted(to target: DataType) -> HostTensor {
    if target == type { return self }
    switch target {
    case .float32: return HostTensor(floats, shape: shape)
    case .float16: return HostTensor(floats.map(Float16.init), .float16, shape)
    case .bfloat16: return HostTensor(floats.map(\.bfloat16), .bfloat16, shape)
    case .float64: return HostTensor(doubles, shape: shape)
    case .int32: return HostTensor(doubles.map { Int32($0) }, shape: shape)
    case .int64: return HostTensor(doubles.map { Int64($0) }, .int64, shape)
    case .uint8: return HostTensor(doubles.map { UInt8($0) }, shape: shape)
    }
  }

  public func reshaped(_ shape: Shape) -> HostTensor { HostTensor(shape: shape, type: type, bytes: bytes) }
}

extension Float {
  /// Creates the number whose bfloat16 bits are given.
  init(bfloat16 bits: UInt16) { self.init(bitPattern: UInt32(bits) << 16) }

  /// Bits of the nearest bfloat16, with ties to even; a NaN stays a NaN.
  public var bfloat16: UInt16 {
    let bits = bitPattern
    return UInt16(truncatingIfNeeded: isNaN ? bits >> 16 | 0x40 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
  }
}
