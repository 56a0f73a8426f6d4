import Compute
import ONNXProto
import Support

/// Element types of ONNX, with their numbers in files.
enum ElementType: Int32 {
  case float = 1
  case uint8, int8, uint16, int16, int32, int64, string, bool, float16, double, uint32, uint64, complex64, complex128, bfloat16

  /// Returns the name of a type for messages, for example `INT64`; the number if the type is unknown.
  static func name(_ number: Int32) -> String {
    let newer = [
      "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4", "INT4", "FLOAT4E2M1", "FLOAT8E8M0", "UINT2",
      "INT2",
    ]
    return ElementType(rawValue: number)?.name ?? ((17..<27).contains(number) ? newer[Int(number) - 17] : "number \(number)")
  }

  var name: String { "\(self)".uppercased() }

  /// Number of bytes of one element in a tensor's raw data; nil if this project cannot read the type.
  var byteCount: Int? {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16, .float16, .bfloat16: 2
    case .float, .int32, .uint32: 4
    case .int64, .uint64, .double: 8
    case .string, .complex64, .complex128: nil
    }
  }

  var isFloatingPoint: Bool { [.float, .float16, .bfloat16, .double].contains(self) }

  /// Whether the graph computes with values of this type. It computes in float32, which holds all of these types exactly.
  var isComputedWith: Bool { [.float, .float16, .bfloat16].contains(self) }

  /// Names of the types that the graph computes with, for messages.
  static let computedWith = "FLOAT, FLOAT16 and BFLOAT16"
}

/// Tensor whose values are known before anything runs: an initializer, or a value that follows from initializers alone.
///
/// It is an object, so that the tensors that a device makes of it can be found again.
final class Constant: Sendable {
  enum Elements: Sendable {
    /// Elements of every floating-point type; doubles are rounded.
    case floats([Float])
    /// Elements of every other type; false is 0.
    case integers([Int64])
  }

  let type: ElementType
  let shape: [Int]
  let elements: Elements

  init(_ type: ElementType, _ shape: [Int], _ elements: Elements) {
    (self.type, self.shape, self.elements) = (type, shape, elements)
  }

  convenience init(_ values: [Float], shape: [Int]) { self.init(.float, shape, .floats(values)) }

  var count: Int {
    switch elements {
    case .floats(let values): values.count
    case .integers(let values): values.count
    }
  }

  /// Returns the elements at these indices: in another order, or some of them repeatedly.
  func picking(_ indices: some Sequence<Int>, shape: [Int]) -> Constant {
    switch elements {
    case .floats(let values): Constant(type, shape, .floats(indices.map { values[$0] }))
    case .integers(let values): Constant(type, shape, .integers(indices.map { values[$0] }))
    }
  }

  func reshaped(_ shape: [Int]) -> Constant { Constant(type, shape, elements) }

  /// Returns the constant with its dimensions permuted: dimension i of the result is dimension permutation[i] of this one.
  func transposed(_ permutation: [Int]) -> Constant {
    let strides = StridedCopy.rowMajorStrides(shape)
    let target = permutation.map { shape[$0] }
    return picking(Self.places(target, permutation.map { strides[$0] }), shape: target)
  }

  /// Repeats the elements along dimensions of one element, and along new dimensions in front, until they have this shape.
  /// - Precondition: the constant can be broadcast to this shape.
  func repeated(to target: [Int]) -> Constant {
    picking(Self.places(target, steps(to: target)), shape: target)
  }

  /// Returns the element at each place along some dimensions of the shape `target`. The constant does not vary along the others.
  /// - Precondition: the constant can be broadcast to that shape, and has one element along the other dimensions.
  func floats(along dimensions: [Int], of target: [Int]) -> [Float] {
    let (steps, floats) = (steps(to: target), floats)
    return Self.places(dimensions.map { target[$0] }, dimensions.map { steps[$0] }).map { floats[$0] }
  }

  /// Returns the steps between elements along the dimensions of a shape to which this constant can be broadcast. The step is 0
  /// along dimensions in which it is repeated.
  private func steps(to target: [Int]) -> [Int] {
    let strides = zip(shape, StridedCopy.rowMajorStrides(shape)).map { size, stride in size == 1 ? 0 : stride }
    return [Int](repeating: 0, count: target.count - shape.count) + strides
  }

  /// Returns the places of all elements of a block, its last dimension fastest, from the number of elements and the step along
  /// each dimension.
  private static func places(_ extents: [Int], _ steps: [Int]) -> [Int] {
    var (index, place) = ([Int](repeating: 0, count: extents.count), 0)
    return (0..<(extents.contains(0) ? 0 : extents.reduce(1, *))).map { _ in
      defer {
        for i in extents.indices.reversed() {
          index[i] += 1
          place += steps[i]
          if index[i] < extents[i] { break }
          place -= extents[i] * steps[i]
          index[i] = 0
        }
      }
      return place
    }
  }

  /// Converts the elements to another type as ONNX's Cast does: floats are rounded toward zero to integers.
  /// - Throws: ``Failure`` for a type that is not read here, and for a value that the new type cannot hold.
  func cast(to target: ElementType) throws -> Constant {
    guard target.byteCount != nil else { throw Failure(.unsupported, "a cast to \(target.name) is not supported") }
    switch (elements, target.isFloatingPoint) {
    case (.floats(let values), true): return Constant(target, shape, .floats(values.map(target.rounded)))
    case (.integers(let values), true): return Constant(target, shape, .floats(values.map { target.rounded(Float($0)) }))
    case (.floats(let values), false):
      let whole = try values.map { value in
        if target == .bool { return Int64(value == 0 ? 0 : 1) }
        guard let integer = Int64(exactly: value.rounded(.towardZero)) else {
          throw Failure(.unsupported, "\(value) cannot be cast to \(target.name)")
        }
        return integer
      }
      return Constant(target, shape, .integers(try whole.map { try target.checked($0) }))
    case (.integers(let values), false):
      return Constant(target, shape, .integers(try values.map { target == .bool ? ($0 == 0 ? 0 : 1) : try target.checked($0) }))
    }
  }
}

extension ElementType {
  /// Rounds a float to this floating-point type.
  func rounded(_ value: Float) -> Float {
    switch self {
    case .float16: Float(Float16(value))
    case .bfloat16: Float(bitPattern: UInt32(value.bfloat16) << 16)
    default: value
    }
  }

  /// Range of the values of this integer type.
  var range: ClosedRange<Int64> {
    switch self {
    case .uint8: 0...255
    case .int8: -128...127
    case .uint16: 0...65535
    case .int16: -32768...32767
    case .int32: Int64(Int32.min)...Int64(Int32.max)
    case .uint32: 0...Int64(UInt32.max)
    case .uint64: 0...Int64.max
    default: Int64.min...Int64.max
    }
  }

  /// Returns a value if this integer type can hold it.
  /// - Throws: ``Failure`` of this kind for a value that the type cannot hold.
  fileprivate func checked(_ value: Int64, otherwise kind: Failure.Kind = .unsupported) throws -> Int64 {
    guard range.contains(value) else { throw Failure(kind, "\(value) cannot be cast to \(name)") }
    return value
  }
}

// MARK: Reading

extension Constant {
  /// Maximum number of elements of a tensor. Beyond it, counts of bytes and operations would not fit a word.
  static let largestCount = 1 << 36

  /// Reads a tensor.
  /// - Parameter folder: folder of the file that the values may be in.
  /// - Throws: ``Failure`` for a type that is not read here, for values in another file that cannot be read, and if the number of
  ///   values is not what the shape says.
  convenience init(_ tensor: Onnx_TensorProto, in folder: String) throws {
    guard let type = ElementType(rawValue: tensor.dataType), let byteCount = type.byteCount else {
      throw Failure(.unsupported, "its elements are of type \(ElementType.name(tensor.dataType)), which is not supported")
    }
    let (shape, count) = try Self.shape(tensor.dims)
    let isExternal = tensor.dataLocation != 0 || !tensor.externalData.isEmpty
    if isExternal || !tensor.rawData.isEmpty || count == 0 {
      let external = isExternal ? try ExternalData(tensor, byteCount: count * byteCount, in: folder) : nil
      guard isExternal || tensor.rawData.count == count * byteCount else {
        throw Failure(
          .damagedFile, "it has \(tensor.rawData.count) bytes, and \(describe(shape)) of \(type.name) takes \(count * byteCount)")
      }
      // Small types are widened to float32 or int64.
      let needed = count * (type.isFloatingPoint ? MemoryLayout<Float>.size : MemoryLayout<Int64>.size)
      let left = HostMemory.available()
      guard needed <= left else {
        throw Failure(
          .outOfMemory,
          "\(describe(shape)) of \(type.name) takes \(rounded(bytes: needed)), and \(rounded(bytes: left)) are left")
      }
      self.init(type, shape, try type.decode(external?.read() ?? Array(tensor.rawData)))
    } else {
      let elements = try type.elements(of: tensor)
      self.init(type, shape, elements)
      guard self.count == count else {
        throw Failure(.damagedFile, "it has \(self.count) elements, and \(describe(shape)) takes \(count)")
      }
    }
  }

  /// Checks the dimensions of a tensor.
  /// - Returns: the dimensions, and the number of elements.
  /// - Throws: ``Failure`` for a shape that no tensor can have, for example with more elements than a machine could hold.
  static func shape(_ dimensions: [Int64]) throws -> (shape: [Int], count: Int) {
    let shape = dimensions.map(Int.init)
    guard shape.count <= 16, shape.allSatisfy({ $0 >= 0 }), let count = Shape(shape).count(within: largestCount) else {
      throw Failure(.damagedFile, "its shape \(describe(shape)) is none that a tensor can have")
    }
    return (shape, count)
  }
}

extension ElementType {
  /// Decodes little-endian elements without gaps. The bytes must be a whole number of elements.
  fileprivate func decode(_ bytes: [UInt8]) throws -> Constant.Elements {
    func all<Element: BitwiseCopyable>(_: Element.Type) -> [Element] {
      [Element](unsafeUninitializedCapacity: bytes.count / MemoryLayout<Element>.size) { buffer, initialized in
        bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
        initialized = buffer.count
      }
    }
    switch self {
    case .float: return .floats(all(Float.self))
    case .double: return .floats(all(Double.self).map(Float.init))
    case .float16: return .floats(all(Float16.self).map(Float.init))
    case .bfloat16: return .floats(all(UInt16.self).map { Float(bitPattern: UInt32($0) << 16) })
    case .uint8: return .integers(bytes.map(Int64.init))
    case .bool: return .integers(bytes.map { $0 == 0 ? 0 : 1 })
    case .int8: return .integers(all(Int8.self).map(Int64.init))
    case .uint16: return .integers(all(UInt16.self).map(Int64.init))
    case .int16: return .integers(all(Int16.self).map(Int64.init))
    case .int32: return .integers(all(Int32.self).map(Int64.init))
    case .uint32: return .integers(all(UInt32.self).map(Int64.init))
    case .int64: return .integers(all(Int64.self))
    case .uint64: return .integers(try all(Int64.self).map { try checked($0) })
    case .string, .complex64, .complex128: throw Failure(.unsupported, "its elements are of type \(name), which is not supported")
    }
  }

  /// Returns the elements in the typed fields of a tensor: small integers and halves are in `int32_data`.
  fileprivate func elements(of tensor: Onnx_TensorProto) throws -> Constant.Elements {
    switch self {
    case .float: .floats(tensor.floatData)
    case .double: .floats(tensor.doubleData.map(Float.init))
    case .float16: .floats(tensor.int32Data.map { Float(Float16(bitPattern: UInt16(truncatingIfNeeded: $0))) })
    case .bfloat16: .floats(tensor.int32Data.map { Float(bitPattern: UInt32(truncatingIfNeeded: $0) << 16) })
    case .int64: .integers(tensor.int64Data)
    case .bool: .integers(tensor.int32Data.map { $0 == 0 ? 0 : 1 })
    case .uint32, .uint64, .string, .complex64, .complex128:
      throw Failure(.unsupported, "its elements are of type \(name) and not in its raw data, which is not supported")
    default: .integers(try tensor.int32Data.map { try checked(Int64($0), otherwise: .damagedFile) })
    }
  }
}

/// Returns a shape as text, for example `[64, 3, 7, 7]`, cut short if a file has many dimensions.
func describe(_ shape: [Int]) -> String {
  "[" + shape.prefix(8).map(String.init).joined(separator: ", ") + (shape.count > 8 ? ", …]" : "]")
}
