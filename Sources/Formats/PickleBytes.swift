import Support

/// Bytes of a pickle, read from front to back: opcodes and the arguments of each.
struct PickleBytes {
  /// Error for a pickle that needs more bytes than there are. A reader that passed only a part of the file may retry with
  /// more bytes.
  struct EndsEarly: Error { let failure: Failure }

  private let bytes: [UInt8]
  private let path, place: String
  /// Offset of the next byte; between two opcodes, the offset of the next opcode.
  private(set) var position: Int
  /// Offset of the current opcode.
  private var start: Int

  /// - Parameters:
  ///   - offset: offset at which the pickle begins, at most the number of bytes.
  ///   - path: the file.
  ///   - place: what the pickle is in the file, for messages.
  init(_ bytes: [UInt8], from offset: Int = 0, of path: String, place: String) {
    self.bytes = bytes
    (self.path, self.place) = (path, place)
    (position, start) = (offset, offset)
  }

  var isAtEnd: Bool { position == bytes.count }

  private func endsEarly(_ reason: Message) -> EndsEarly { EndsEarly(failure: failure(reason)) }

  /// Returns an error at the current opcode.
  func failure(_ reason: Message, _ kind: Failure.Kind = .damagedFile) -> Failure {
    Failure(kind, about: path, "\(place), byte \(start): \(reason)")
  }

  mutating func opcode() throws -> UInt8 {
    start = position
    guard !isAtEnd else { throw endsEarly("it ends early, without a STOP") }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func bytes(_ count: Int) throws -> ArraySlice<UInt8> {
    let left = bytes.count - position
    // An eight-byte count with the highest bit set arrives as a negative number.
    guard count >= 0, count <= left else { throw endsEarly("it ends early, \(left) bytes are left") }
    defer { position += count }
    return bytes[position..<position + count]
  }

  /// Reads an unsigned little-endian number.
  mutating func integer(_ byteCount: Int) throws -> Int { try bytes(byteCount).reversed().reduce(0) { $0 << 8 | Int($1) } }

  /// Reads a string; nil if it is not UTF-8.
  mutating func string(_ byteCount: Int) throws -> String? { String(validating: try bytes(byteCount), as: UTF8.self) }

  /// Reads a text up to the end of the line.
  mutating func line() throws -> String {
    guard let end = bytes[position...].firstIndex(of: 0x0A) else { throw endsEarly("it ends within a name") }
    defer { position += 1 }
    guard let name = try string(end - position) else { throw failure("a name that is not UTF-8") }
    return name
  }

  /// Checks the size of a frame. A frame only tells how much to read at once.
  mutating func checkFrame() throws {
    let (count, left) = (try integer(8), bytes.count - position)
    guard count >= 0, count <= left else { throw endsEarly("a frame of which only \(left) bytes are there") }
  }

  /// Returns the error for an opcode that is not needed here.
  func refusal(of opcode: UInt8) -> Failure {
    let digits = String(opcode, radix: 16, uppercase: true)
    let number = "0x\(digits.count < 2 ? "0" : "")\(digits)"
    let name = Self.refused[opcode]
    return failure(
      "opcode \(number), \(name ?? "an unknown one"), is not one that torch.save writes for tensors",
      name == nil ? .damagedFile : .unsupported)
  }

  /// Names of Python's other opcodes.
  private static let refused: [UInt8: String] = [
    0x46: "FLOAT", 0x49: "INT", 0x4C: "LONG", 0x50: "PERSID", 0x53: "STRING", 0x56: "UNICODE", 0x64: "DICT", 0x67: "GET",
    0x6C: "LIST", 0x70: "PUT", 0x80: "a second PROTO", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
  ]
}
