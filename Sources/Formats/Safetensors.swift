import Compute
import Support

/// Contents of a safetensors file.
package struct SafetensorsFile: Sendable {
  /// Tensors by name, with the types of the file, except that 16-bit floats have become float32.
  package let tensors: [String: HostTensor]
  /// `__metadata__` of the header without the checksums; empty if the header has none.
  package let metadata: [String: String]
  /// Whether the file has checksums, which were checked. Files from elsewhere have none.
  package let hasChecksums: Bool
}

/// Safetensors format (https://huggingface.co/docs/safetensors). A file has three parts: the length of the header in eight
/// bytes, little-endian; the header, a JSON object with the type, shape and byte range of each tensor; the elements,
/// little-endian, row-major, without gaps. Files that are written here have ``SafetensorsChecksums`` too.
package enum Safetensors {
  /// Reads all tensors. F16 and BF16 become float32; F32, F64, I32, I64 and U8 keep their types.
  ///
  /// The whole header is checked against the file's size before anything is allocated for the tensors.
  /// - Throws: a ``Failure`` that names the file, the tensor and the reason.
  package static func read(_ path: String) throws -> SafetensorsFile {
    let file = try InputFile(path)
    let header = try SafetensorsHeader(file)
    try requireMemory(file.byteCount, for: path)
    var tensors: [String: HostTensor] = [:]
    for entry in header.entries { tensors[entry.name] = try read(entry, file, header) }
    return SafetensorsFile(tensors: tensors, metadata: header.metadata, hasChecksums: header.hasChecksums)
  }

  /// Reads the metadata alone. The whole header is checked, the tensors are not.
  /// - Throws: a ``Failure`` that names the file and the reason.
  package static func readMetadata(_ path: String) throws -> (metadata: [String: String], hasChecksums: Bool) {
    let header = try SafetensorsHeader(try InputFile(path))
    return (header.metadata, header.hasChecksums)
  }

  /// Reads one tensor.
  /// - Throws: a ``Failure`` if its type is not supported, or its checksum is wrong.
  static func read(
    _ entry: SafetensorsHeader.Entry, _ file: borrowing InputFile, _ header: SafetensorsHeader
  ) throws -> HostTensor {
    guard let type = entry.type else {
      let known = SafetensorsType.allCases.map(\.rawValue).joined(separator: ", ")
      let (tensor, dtype) = (JSON.string(entry.name).shortened, JSON.string(entry.typeName).shortened)
      throw Failure(.unsupported, about: file.path, "tensor \(tensor) has dtype \(dtype); known ones are \(known)")
    }
    let bytes = try file.read(entry.end - entry.begin, at: header.dataOffset + entry.begin)
    if let checksum = entry.checksum, checksum != CRC32.of(bytes) {
      throw Failure(
        .damagedFile, about: file.path, "tensor \(JSON.string(entry.name).shortened) is damaged: its checksum is wrong")
    }
    return type.decode(bytes, shape: Shape(entry.shape))
  }

  /// Writes the file atomically and reproducibly: the tensors in the given order, the metadata sorted by key, the header
  /// padded with spaces to a multiple of eight bytes.
  /// - Throws: a ``Failure`` that names the file and the system's reason, or a tensor name that occurs twice or is
  ///   `__metadata__`. The file is then left as it was.
  package static func write(
    _ tensors: [(name: String, tensor: HostTensor)], metadata: [String: String], to path: String
  ) throws {
    guard !tensors.contains(where: { Name($0.name) == Name(metadataKey) }) else {
      throw Failure(
        .invalidSetting, about: path, "a tensor cannot be called \(metadataKey), which is the name of a part of the file")
    }
    try requireDistinctTensors(tensors.map(\.name), in: path, .invalidSetting)
    let header = header(tensors.map(Place.init), metadata: metadata)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    try AtomicFile.write(to: path) { output in
      try (length + header).withUnsafeBytes(output.write)
      for (_, tensor) in tensors { try tensor.bytes.withUnsafeBytes(output.write) }
    }
  }

  /// Writes a float32 matrix row by row, and other tensors behind it. The number of rows needs not be known in advance, and only
  /// one row at a time is in memory.
  /// - Parameters:
  ///   - name: name of the matrix.
  ///   - columns: number of its columns.
  ///   - body: passes on the rows in order; returns the other tensors.
  /// - Returns: the number of rows.
  /// - Throws: any error of `body`; a ``Failure`` if the file cannot be written, which is then left as it was.
  /// - Precondition: each row has so many columns, and no two tensors have the same name.
  @discardableResult
  package static func writeRows(
    _ name: String, columns: Int, metadata: [String: String], to path: String,
    _ body: (_ append: (ArraySlice<Float>) throws -> Void) throws -> [(name: String, tensor: HostTensor)]
  ) throws -> Int {
    // Leaves room for the header of a matrix of any size and of a few more tensors.
    let room = (header([], metadata: metadata).count + 1000) / 8 * 8
    return try AtomicFile.write(to: path) { output in
      try [UInt8](repeating: 0x20, count: 8 + room).withUnsafeBytes(output.write)
      var (rows, crc) = (0, CRC32())
      let others = try body { row in
        precondition(row.count == columns, "[Safetensors] a row of \(row.count) values, not \(columns)")
        try row.withUnsafeBytes {
          crc.add($0)
          try output.write($0)
        }
        rows += 1
      }
      for (_, tensor) in others { try tensor.bytes.withUnsafeBytes(output.write) }
      let matrix = Place(
        name: name, type: .float32, shape: [rows, columns], byteCount: 4 * rows * columns, checksum: crc.value)
      let header = header([matrix] + others.map(Place.init), metadata: metadata, padded: room)
      precondition(header.count == room, "[Safetensors] a header of \(header.count) bytes")
      let length = (0..<8).map { UInt8(truncatingIfNeeded: room >> (8 * $0)) }
      try (length + header).withUnsafeBytes { try output.write($0, at: 0) }
      return rows
    }
  }

  /// Description of a tensor for the header.
  private struct Place {
    let name: String
    let type: DataType
    let shape: [Int]
    let byteCount: Int
    let checksum: UInt32

    init(name: String, type: DataType, shape: [Int], byteCount: Int, checksum: UInt32) {
      (self.name, self.type, self.shape, self.byteCount, self.checksum) = (name, type, shape, byteCount, checksum)
    }

    init(_ entry: (name: String, tensor: HostTensor)) {
      self.init(
        name: entry.name, type: entry.tensor.type, shape: entry.tensor.shape.dimensions, byteCount: entry.tensor.bytes.count,
        checksum: CRC32.of(entry.tensor.bytes))
    }
  }

  /// Returns a header with the checksums of its tensors and its own.
  /// - Parameter count: number of bytes up to which spaces follow the JSON; nil for the next multiple of eight.
  private static func header(_ tensors: [Place], metadata: [String: String], padded count: Int? = nil) -> [UInt8] {
    var metadata = metadata
    metadata[SafetensorsChecksums.key] = SafetensorsChecksums.text(tensors.map(\.checksum))
    let sorted = metadata.sorted { $0.key < $1.key }
    var members = [JSON.Member(metadataKey, .object(sorted.map { JSON.Member($0.key, .string($0.value)) }))]
    var offset = 0
    for tensor in tensors {
      let end = offset + tensor.byteCount
      members.append(
        JSON.Member(
          tensor.name,
          .object([
            JSON.Member("dtype", .string(SafetensorsType(tensor.type).rawValue)),
            JSON.Member("shape", .array(tensor.shape.map(JSON.integer))),
            JSON.Member("data_offsets", .array([.integer(offset), .integer(end)])),
          ])))
      offset = end
    }
    var header = Array(JSON.object(members).description.utf8)
    header += [UInt8](repeating: 0x20, count: max(0, (count ?? (header.count + 7) / 8 * 8) - header.count))
    SafetensorsChecksums.seal(&header)
    return header
  }

  static let metadataKey = "__metadata__"
}

/// Checks that the tensors of a file fit into the memory that is left. A sparse file may be of any size.
/// - Throws: a ``Failure`` if the tensors do not fit.
package func requireMemory(_ byteCount: Int, for path: String) throws {
  let left = HostMemory.available()
  if byteCount > left {
    throw Failure(
      .outOfMemory, about: path, "its tensors take \(rounded(bytes: byteCount)), and \(rounded(bytes: left)) of memory are left")
  }
}

/// Element types of the format that this project reads.
enum SafetensorsType: String, CaseIterable {
  case float32 = "F32"
  case float64 = "F64"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case uint8 = "U8"
  case int32 = "I32"
  case int64 = "I64"

  init(_ type: DataType) {
    self =
      switch type {
      case .float32: .float32
      case .float16: .float16
      case .bfloat16: .bfloat16
      case .float64: .float64
      case .int32: .int32
      case .int64: .int64
      case .uint8: .uint8
      }
  }

  /// Bytes of one element in the file.
  var byteCount: Int {
    switch self {
    case .uint8: 1
    case .float16, .bfloat16: 2
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }

  /// Returns the elements; 16-bit floats become float32.
  func decode(_ bytes: [UInt8], shape: Shape) -> HostTensor {
    switch self {
    case .float32: HostTensor(shape: shape, type: .float32, bytes: bytes)
    case .float64: HostTensor(shape: shape, type: .float64, bytes: bytes)
    case .int32: HostTensor(shape: shape, type: .int32, bytes: bytes)
    case .int64: HostTensor(shape: shape, type: .int64, bytes: bytes)
    case .uint8: HostTensor(shape: shape, type: .uint8, bytes: bytes)
    case .float16: HostTensor(shape: shape, type: .float16, bytes: bytes).converted(to: .float32)
    case .bfloat16: HostTensor(shape: shape, type: .bfloat16, bytes: bytes).converted(to: .float32)
    }
  }
}
