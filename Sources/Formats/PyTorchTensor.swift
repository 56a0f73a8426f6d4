import Compute
import Support

/// Element types of PyTorch that this project reads, by PyTorch's names.
enum PyTorchElement: String, CaseIterable {
  case float16, bfloat16, float32, float64
  case uint8, int8, int16, uint16, int32, int64
  case bool

  /// Class name of the storages of this type.
  var storageName: String {
    switch self {
    case .float16: "HalfStorage"
    case .bfloat16: "BFloat16Storage"
    case .float32: "FloatStorage"
    case .float64: "DoubleStorage"
    case .uint8: "ByteStorage"
    case .int8: "CharStorage"
    case .int16: "ShortStorage"
    case .uint16: "UInt16Storage"
    case .int32: "IntStorage"
    case .int64: "LongStorage"
    case .bool: "BoolStorage"
    }
  }

  /// Bytes of one element in the file.
  var byteCount: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .float16, .bfloat16, .int16, .uint16: 2
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }

  /// Type of the decoded elements: narrow floating-point types become float32, narrow integers except uint8 int32, booleans
  /// uint8.
  var decodedType: DataType {
    switch self {
    case .float16, .bfloat16, .float32: .float32
    case .float64: .float64
    case .uint8, .bool: .uint8
    case .int8, .int16, .uint16, .int32: .int32
    case .int64: .int64
    }
  }

  func decode(_ bytes: [UInt8], shape: Shape) -> HostTensor {
    switch self {
    case .float16: HostTensor(shape: shape, type: .float16, bytes: bytes).converted(to: .float32)
    case .bfloat16: HostTensor(shape: shape, type: .bfloat16, bytes: bytes).converted(to: .float32)
    case .int8: HostTensor(bytes.map { Int32(Int8(bitPattern: $0)) }, shape: shape)
    case .int16: HostTensor(pairs(bytes).map { Int32(Int16(bitPattern: $0)) }, shape: shape)
    case .uint16: HostTensor(pairs(bytes).map(Int32.init), shape: shape)
    case .float32, .float64, .uint8, .int32, .int64, .bool: HostTensor(shape: shape, type: decodedType, bytes: bytes)
    }
  }

  private func pairs(_ bytes: [UInt8]) -> [UInt16] {
    stride(from: 0, to: bytes.count, by: 2).map { UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8 }
  }
}

/// Block of elements that tensors are views of.
struct PyTorchStorage {
  let key: String
  /// Element type; nil for plain bytes.
  let element: PyTorchElement?
  /// Number of elements, or of plain bytes.
  let count: Int
  /// Range of the elements that tensors are views of; nil for all elements. Only PyTorch before 1.6 writes such a range.
  var part: Range<Int>?

  /// Size in bytes; nil if it does not fit into `Int`.
  var byteCount: Int? {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: element?.byteCount ?? 1)
    return overflow ? nil : bytes
  }
}

/// View of a storage: element [i, j, …] is element number offset + i·strides[0] + j·strides[1] + … of the whole storage.
struct PyTorchTensor {
  let storage: PyTorchStorage
  let element: PyTorchElement
  let offset: Int
  let shape: [Int]
  let strides: [Int]
  /// Number of elements.
  let count: Int

  /// Maximum number of dimensions in PyTorch.
  static let maximumRank = 64

  /// - Throws: a ``Failure``, without the place in the file, for a view that does not fit into its storage.
  init(_ storage: PyTorchStorage, _ element: PyTorchElement, offset: Int, shape: [Int], strides: [Int]) throws {
    let wrong = { (reason: Message) in
      let text = shape.count <= 8 ? "[\(shape.map(String.init).joined(separator: ", "))]" : "of \(shape.count) dimensions"
      return Failure(.damagedFile, "a tensor \(text) \(reason)")
    }
    guard shape.count == strides.count else { throw wrong("has \(strides.count) strides") }
    guard offset >= 0 else { throw wrong("begins at element \(offset)") }
    if let size = shape.first(where: { $0 < 0 }) { throw wrong("has a negative size, \(size)") }
    if let step = strides.first(where: { $0 < 0 }) { throw wrong("has a negative stride, \(step)") }
    guard storage.byteCount != nil else { throw wrong("has a storage of \(storage.count) elements") }
    guard let count = Shape(shape).count(within: .max / 16) else { throw wrong("is too large") }
    var last = (partialValue: offset, overflow: false)
    for (size, step) in zip(shape, strides) where count > 0 {
      let (reach, overflow) = (size - 1).multipliedReportingOverflow(by: step)
      let next = last.partialValue.addingReportingOverflow(reach)
      last = (next.partialValue, last.overflow || overflow || next.overflow)
    }
    // Counts are in elements of the tensor, as a storage may hold plain bytes.
    let (start, end) = (storage.part?.lowerBound ?? 0, storage.part?.upperBound ?? storage.count)
    let unit = storage.element?.byteCount ?? 1
    let room = (end - start) * unit / element.byteCount
    guard start * unit % element.byteCount == 0 else { throw wrong("begins within an element of its storage") }
    guard count == 0 || (!last.overflow && last.partialValue < room) else {
      let place = last.overflow ? "" : ", \(last.partialValue),"
      throw wrong("reaches an element\(place) past the end of its storage of \(room)")
    }
    (self.storage, self.element, self.shape, self.count) = (storage, element, shape, count)
    self.offset = start * unit / element.byteCount + (count == 0 ? 0 : offset)
    // A dimension of one element is never stepped over, so its stride, however large, does not matter.
    self.strides = zip(shape, strides).map { $0 > 1 ? $1 : 0 }
  }

  /// Returns the elements in row-major order.
  /// - Parameter bytes: the bytes of the storage, as many as it announces.
  func decode(_ bytes: [UInt8]) -> HostTensor {
    precondition(bytes.count == storage.byteCount, "[PyTorchTensor] \(bytes.count) bytes for a storage of \(storage.count)")
    return element.decode(gathered(bytes), shape: Shape(shape))
  }

  private func gathered(_ bytes: [UInt8]) -> [UInt8] {
    let (size, total) = (element.byteCount, count * element.byteCount)
    if count == 0 { return [] }
    // Expected stride of a contiguous row-major layout.
    var expected = 1
    let isContiguous = zip(shape, strides).reversed().allSatisfy { extent, step in
      defer { expected *= extent }
      return extent == 1 || step == expected
    }
    if isContiguous {
      return total == bytes.count ? bytes : Array(bytes[offset * size..<offset * size + total])
    }
    var result = [UInt8](repeating: 0, count: total)
    var index = [Int](repeating: 0, count: shape.count)
    var source = offset
    for target in 0..<count {
      for byte in 0..<size { result[target * size + byte] = bytes[source * size + byte] }
      // Advances to the next index; the last dimension changes fastest.
      for axis in shape.indices.reversed() {
        index[axis] += 1
        source += strides[axis]
        if index[axis] < shape[axis] { break }
        source -= shape[axis] * strides[axis]
        index[axis] = 0
      }
    }
    return result
  }
}
