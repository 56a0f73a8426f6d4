import Support

/// Checked header of a safetensors file. Its entries are sorted by their offsets and cover the file's data exactly, without
/// overlaps and gaps.
struct SafetensorsHeader {
  struct Entry {
    let name: String
    /// Type name in the file.
    let typeName: String
    /// Element type; nil if it is not supported.
    let type: SafetensorsType?
    let shape: [Int]
    /// Byte range begin ..< end, counted from the end of the header.
    let begin, end: Int
    /// ``CRC32`` of the bytes; nil if the file does not tell it.
    fileprivate(set) var checksum: UInt32?
  }

  private(set) var entries: [Entry] = []
  /// Metadata without the checksums.
  private(set) var metadata: [String: String] = [:]
  /// Whether the file has checksums. Those of the header were then checked.
  private(set) var hasChecksums = false
  /// File offset at which the elements begin.
  let dataOffset: Int

  /// Maximum size of a header. ResNet-1202's header has 1 MB. Parsed as JSON, a header may take thirty times its size in
  /// memory.
  private static let maximumByteCount = 1 << 24

  init(_ file: borrowing InputFile) throws {
    let (bytes, path) = (try Self.bytes(file), file.path)
    dataOffset = 8 + bytes.count
    let json: JSON
    do { json = try JSON(parsing: bytes) } catch let failure as Failure {
      throw Failure(failure.kind, about: path, "the safetensors header is not valid JSON, \(failure)")
    }
    guard case .object(let members) = json else {
      throw Failure(.damagedFile, about: path, "the safetensors header is not a JSON object")
    }
    for member in members {
      if member.key == Safetensors.metadataKey {
        metadata = try Self.metadata(member.value, path)
      } else {
        entries.append(try Self.entry(member, path))
      }
    }
    try requireDistinctTensors(entries.map(\.name), in: path)
    entries.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    try checkPlaces(dataByteCount: file.byteCount - dataOffset, path)
    guard let text = metadata.removeValue(forKey: SafetensorsChecksums.key) else { return }
    let checksums = try SafetensorsChecksums(text, header: bytes, tensors: entries.count, path)
    for (index, checksum) in checksums.tensors.enumerated() { entries[index].checksum = checksum }
    hasChecksums = true
  }

  private static func bytes(_ file: borrowing InputFile) throws -> [UInt8] {
    let path = file.path
    if let kind = try FileKind(of: file), kind != .safetensors { throw kind.failure(.tensors, about: path) }
    guard file.byteCount >= 8 else {
      throw Failure(
        .damagedFile, about: path,
        "\(file.byteCount) bytes are too few for a safetensors file; it is truncated or another format")
    }
    let start = try file.read(8, at: 0)
    let length = start.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
    guard length <= maximumByteCount else {
      throw Failure(
        .damagedFile, about: path,
        "a safetensors header of \(length) bytes is over \(maximumByteCount); the file is of another format")
    }
    guard length <= file.byteCount - 8 else {
      let left = file.byteCount - 8
      throw Failure(
        .damagedFile, about: path, "the safetensors header has \(length) bytes, but only \(left) follow; it is truncated")
    }
    let bytes = try file.read(Int(length), at: 8)
    guard bytes.first == UInt8(ascii: "{") else {
      throw Failure(.damagedFile, about: path, "the safetensors header does not begin with '{'")
    }
    return bytes
  }

  private static func metadata(_ json: JSON, _ path: String) throws -> [String: String] {
    guard case .object(let members) = json else {
      throw Failure(.damagedFile, about: path, "__metadata__ is not a JSON object")
    }
    let pairs = try members.map { member in
      guard case .string(let value) = member.value else {
        let key = JSON.string(member.key).shortened
        throw Failure(.damagedFile, about: path, "__metadata__ has \(member.value.shortened) for \(key), not a string")
      }
      return (member.key, value)
    }
    // Keys of this project are ASCII. Of other keys that differ only in their Unicode form, the first one is kept.
    return Dictionary(pairs) { first, _ in first }
  }

  private static func entry(_ member: JSON.Member, _ path: String) throws -> Entry {
    let tensor = "tensor \(JSON.string(member.key).shortened)"
    guard case .object(let fields) = member.value else {
      throw Failure(.damagedFile, about: path, "\(tensor) is not described by a JSON object")
    }
    if let other = fields.first(where: { !["dtype", "shape", "data_offsets"].contains($0.key) }) {
      throw Failure(.damagedFile, about: path, "\(tensor) has an unknown field \(JSON.string(other.key).shortened)")
    }
    guard case .string(let name) = member.value["dtype"] else {
      throw Failure(.damagedFile, about: path, "\(tensor) has no dtype")
    }
    let type = SafetensorsType(rawValue: name)
    let shape = try sizes(member.value["shape"], "shape", of: tensor, path)
    let offsets = try sizes(member.value["data_offsets"], "data_offsets", of: tensor, path)
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      let text = member.value["data_offsets"]?.shortened ?? ""
      throw Failure(.damagedFile, about: path, "\(tensor) has data_offsets \(text), not a begin and an end")
    }
    // Zeros count as ones here. Then no product of these sizes overflows, in any order.
    let bound = shape.reduce((partialValue: type?.byteCount ?? 1, overflow: false)) { product, size in
      let next = product.partialValue.multipliedReportingOverflow(by: max(size, 1))
      return (next.partialValue, product.overflow || next.overflow)
    }
    let shapeText = JSON.array(shape.map(JSON.integer)).shortened
    guard !bound.overflow else {
      throw Failure(.damagedFile, about: path, "\(tensor) has shape \(shapeText), which is too large")
    }
    let byteCount = shape.contains(0) ? 0 : bound.partialValue
    let room = offsets[1] - offsets[0]
    guard room == byteCount || type == nil else {
      throw Failure(
        .damagedFile, about: "\(path): \(tensor)",
        "shape \(shapeText) of \(name) takes \(byteCount) bytes, but data_offsets give it \(room)")
    }
    return Entry(name: member.key, typeName: name, type: type, shape: shape, begin: offsets[0], end: offsets[1])
  }

  private static func sizes(_ json: JSON?, _ field: String, of tensor: String, _ path: String) throws -> [Int] {
    guard let json else { throw Failure(.damagedFile, about: path, "\(tensor) has no \(field)") }
    let wrong = Failure(
      .damagedFile, about: path,
      "\(tensor) has \(field) \(json.shortened), not a list of whole numbers from 0 to 2^63 - 1")
    guard case .array(let values) = json else { throw wrong }
    return try values.map { value in
      guard case .integer(let size) = value, size >= 0 else { throw wrong }
      return size
    }
  }

  private func checkPlaces(dataByteCount: Int, _ path: String) throws {
    var end = 0
    for entry in entries {
      let tensor = "tensor \(JSON.string(entry.name).shortened)"
      guard entry.end <= dataByteCount else {
        throw Failure(
          .damagedFile, about: path,
          "\(tensor) ends at byte \(entry.end), but the file has only \(dataByteCount) bytes of data; it is truncated")
      }
      guard entry.begin >= end else {
        throw Failure(.damagedFile, about: path, "\(tensor) begins at byte \(entry.begin), within the tensor before it")
      }
      guard entry.begin == end else {
        throw Failure(
          .damagedFile, about: path,
          "\(tensor) begins at byte \(entry.begin), and the \(entry.begin - end) bytes before it belong to none")
      }
      end = entry.end
    }
    guard end == dataByteCount else {
      throw Failure(.damagedFile, about: path, "\(dataByteCount - end) bytes follow the last tensor; the file is damaged")
    }
  }
}
