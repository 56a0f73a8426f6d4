import Support

/// Zip archive (PKWARE's APPNOTE 6.3.10, with Zip64) whose records are stored or deflated.
///
/// Opening the archive checks the whole directory: no record may occur twice. Reading a record checks that it ends before the
/// next one begins. So the records as stored never add up to more than the file. Records can be read in any order, by several
/// threads at a time.
package struct ZipArchive: ~Copyable, Sendable {
  package struct Record: Sendable {
    package let name: String
    let checksum: UInt32
    /// Size of the contents in bytes.
    package let byteCount: Int
    /// Size of the contents as stored, in bytes.
    let storedByteCount: Int
    /// File offset of the local header.
    let headerOffset: Int
    /// Compression method (APPNOTE 4.4.5): 0 for none, 8 for deflate.
    let method: Int
    package let isEncrypted: Bool
    /// Whether the contents are the target of a symbolic link.
    package let isLink: Bool

    /// Whether the record can be read, apart from its encryption.
    package var isSupported: Bool { method == 0 || method == 8 }
  }

  let file: InputFile
  /// Records, sorted by their offsets.
  package let records: [Record]
  /// File offset of the directory; all records end before it.
  private let directoryOffset: Int
  private let indices: [Name: Int]

  private static let maximumRecords = 1 << 24
  private static let localHeaderByteCount = 30

  /// - Throws: a ``Failure`` that names the file, the record and the reason.
  package init(_ file: consuming InputFile) throws {
    let end = try ZipDirectoryEnd(file)
    let records = try Self.records(file, end)
    let indices = try Self.indices(records, file.path)
    self.records = records
    self.indices = indices
    directoryOffset = end.offset
    self.file = file
  }

  private static func records(_ file: borrowing InputFile, _ end: ZipDirectoryEnd) throws -> [Record] {
    let path = file.path
    guard end.records <= maximumRecords, end.byteCount >= end.records * 46 else {
      throw Failure(
        .damagedFile, about: path, "the zip directory's \(end.byteCount) bytes cannot hold \(end.records) records")
    }
    var fields = ByteFields(try file.read(end.byteCount, at: end.offset))
    let records = try (0..<end.records).map { _ in try record(&fields, path) }
    guard fields.isAtEnd else {
      throw Failure(.damagedFile, about: path, "the zip directory has more bytes than its records")
    }
    return records.sorted { $0.headerOffset < $1.headerOffset }
  }

  private static func indices(_ records: [Record], _ path: String) throws -> [Name: Int] {
    try Dictionary(records.enumerated().map { (Name($1.name), $0) }) { _, index in
      throw Failure(.damagedFile, about: path, "the zip record '\(shortened(records[index].name))' is there twice")
    }
  }

  /// Returns the contents of a record that is stored without compression, as PyTorch writes them.
  /// - Throws: a ``Failure`` if there is no such record, it is compressed or it is damaged.
  func read(_ name: String) throws -> [UInt8] {
    let (path, place) = (file.path, "the zip record '\(shortened(name))'")
    guard let index = indices[Name(name)] else { throw Failure(.damagedFile, about: path, "\(place) is missing") }
    let record = records[index]
    guard record.isEncrypted || (record.method == 0 && record.storedByteCount == record.byteCount) else {
      throw Failure(
        .unsupported, about: path, "\(place) is compressed, which PyTorch never does",
        remedy: "save the file again by torch.save")
    }
    return try read(index)
  }

  /// Returns the contents of a record, inflated and verified by its checksum.
  /// - Parameter index: index into ``records``.
  /// - Throws: a ``Failure`` if it is encrypted, compressed by another method than deflate, or damaged.
  package func read(_ index: Int) throws -> [UInt8] {
    let record = records[index]
    let (path, place) = (file.path, "the zip record '\(shortened(record.name))'")
    guard !record.isEncrypted else { throw Failure(.unsupported, about: path, "\(place) is encrypted") }
    guard record.isSupported else {
      throw Failure(
        .unsupported, about: path, "\(place) is compressed by method \(record.method), and only deflate is supported",
        remedy: "unpack it")
    }
    // A record ends where the next one begins, or earlier.
    let limit = index + 1 < records.count ? records[index + 1].headerOffset : directoryOffset
    let left = limit - record.headerOffset - Self.localHeaderByteCount
    guard left >= 0 else { throw Failure(.damagedFile, about: path, "\(place) overlaps what follows it") }
    var header = ByteFields(try file.read(Self.localHeaderByteCount, at: record.headerOffset))
    guard header.integer(4) == 0x0403_4B50 else {
      throw Failure(.damagedFile, about: path, "\(place) has no header where the directory says")
    }
    header.skip(22)
    let (nameByteCount, extraByteCount) = (header.integer(2), header.integer(2))
    guard nameByteCount + extraByteCount + record.storedByteCount <= left else {
      throw Failure(.damagedFile, about: path, "\(place) of \(record.storedByteCount) bytes overlaps what follows it")
    }
    let start = record.headerOffset + Self.localHeaderByteCount
    guard try Name(Self.name(file.read(nameByteCount, at: start))) == Name(record.name) else {
      throw Failure(.damagedFile, about: path, "\(place) has another name in its own header")
    }
    let stored = try file.read(record.storedByteCount, at: start + nameByteCount + extraByteCount)
    let inflated = record.method == 0 ? stored : Inflation.inflated(stored, byteCount: record.byteCount)
    guard let bytes = inflated, bytes.count == record.byteCount else {
      throw Failure(.damagedFile, about: path, "\(place) is damaged: it does not hold the \(record.byteCount) bytes it announces")
    }
    guard bytes.isEmpty || CRC32.of(bytes) == record.checksum else {
      throw Failure(.damagedFile, about: path, "\(place) is damaged: its checksum differs")
    }
    return bytes
  }

  /// Returns the size of a record's contents in bytes; nil if there is no such record.
  func byteCount(of name: String) -> Int? { indices[Name(name)].map { records[$0].byteCount } }

  /// Reads one entry of the directory (APPNOTE 4.3.12).
  private static func record(_ fields: inout ByteFields, _ path: String) throws -> Record {
    let damaged = Failure(.damagedFile, about: path, "the zip directory is damaged")
    guard fields.left >= 46, fields.integer(4) == 0x0201_4B50 else { throw damaged }
    let madeBy = fields.integer(2) >> 8
    fields.skip(2)
    let (flags, method) = (fields.integer(2), fields.integer(2))
    fields.skip(4)
    let checksum = UInt32(truncatingIfNeeded: fields.integer(4))
    var (storedByteCount, byteCount) = (fields.integer(4), fields.integer(4))
    let (nameByteCount, extraByteCount, commentByteCount) = (fields.integer(2), fields.integer(2), fields.integer(2))
    fields.skip(4)
    // Programs of Unix keep the kind of a file in the upper half (APPNOTE 4.4.2, 4.4.15).
    let isLink = madeBy == 3 && fields.integer(4) >> 16 & 0o170000 == 0o120000
    if madeBy != 3 { fields.skip(4) }
    var headerOffset = fields.integer(4)
    guard fields.left >= nameByteCount + extraByteCount + commentByteCount else { throw damaged }
    let name = name(fields.bytes(nameByteCount))
    var extra = ByteFields(fields.bytes(extraByteCount))
    fields.skip(commentByteCount)
    // Values that do not fit into 32 bits are in the Zip64 field, in this order (APPNOTE 4.5.3).
    while extra.left >= 4 {
      let (tag, count) = (extra.integer(2), extra.integer(2))
      guard count <= extra.left else { break }
      var field = ByteFields(extra.bytes(count))
      guard tag == 1 else { continue }
      if byteCount == 0xFFFF_FFFF && field.left >= 8 { byteCount = field.integer(8) }
      if storedByteCount == 0xFFFF_FFFF && field.left >= 8 { storedByteCount = field.integer(8) }
      if headerOffset == 0xFFFF_FFFF && field.left >= 8 { headerOffset = field.integer(8) }
    }
    // A value is negative if its highest bit was set in the Zip64 field.
    guard [byteCount, storedByteCount, headerOffset].allSatisfy({ (0..<1 << 62).contains($0) }) else { throw damaged }
    return Record(
      name: name, checksum: checksum, byteCount: byteCount, storedByteCount: storedByteCount, headerOffset: headerOffset,
      method: method, isEncrypted: flags & 1 != 0, isLink: isLink)
  }

  /// Characters 128 to 255 of code page 437, in which names are that are not UTF-8 (APPNOTE, appendix D).
  private static let codePage = Array(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}"
      .unicodeScalars)

  private static func name(_ bytes: [UInt8]) -> String {
    if let name = String(validating: bytes, as: UTF8.self) { return name }
    var name = String.UnicodeScalarView()
    for byte in bytes { name.append(byte < 128 ? Unicode.Scalar(byte) : codePage[Int(byte) - 128]) }
    return String(name)
  }
}

/// Directory of a zip archive, as described by the records at the archive's end (APPNOTE 4.3.14 to 4.3.16).
private struct ZipDirectoryEnd {
  private(set) var records, byteCount, offset: Int

  init(_ file: borrowing InputFile) throws {
    let path = file.path
    // The last record has 22 bytes and a comment of up to 65535 bytes. Zip64's locator of 20 bytes may stand before it.
    let tailOffset = max(0, file.byteCount - 22 - 65535 - 20)
    let tail = try file.read(file.byteCount - tailOffset, at: tailOffset)
    let places = stride(from: tail.count - 22, through: 0, by: -1)
    let signature: [UInt8] = [0x50, 0x4B, 5, 6]
    guard
      let place = places.first(where: { place in
        tail[place..<place + 4].elementsEqual(signature)
          && Int(tail[place + 20]) + Int(tail[place + 21]) << 8 == tail.count - place - 22
      })
    else {
      throw Failure(.damagedFile, about: path, "a zip archive without its end; it is truncated")
    }
    var fields = ByteFields(Array(tail[(place + 4)...]))
    let disks = [fields.integer(2), fields.integer(2)]
    let recordsHere = fields.integer(2)
    (records, byteCount, offset) = (fields.integer(2), fields.integer(4), fields.integer(4))
    var directoryLimit = tailOffset + place
    guard disks.allSatisfy({ $0 == 0 || $0 == 0xFFFF }), recordsHere == records else {
      throw Failure(.unsupported, about: path, "one of several parts of a zip archive")
    }
    if place >= 20, tail[(place - 20)..<(place - 16)].elementsEqual([0x50, 0x4B, 6, 7]) {
      var locator = ByteFields(Array(tail[(place - 12)..<(place - 4)]))
      let end = locator.integer(8)
      let damaged = Failure(.damagedFile, about: path, "the zip archive's end is damaged")
      guard end >= 0, end <= directoryLimit - 20 - 56 else { throw damaged }
      var fields = ByteFields(try file.read(56, at: end))
      guard fields.integer(4) == 0x0606_4B50 else { throw damaged }
      fields.skip(28)
      (records, byteCount, offset) = (fields.integer(8), fields.integer(8), fields.integer(8))
      directoryLimit = end
    }
    guard records >= 0, byteCount >= 0, offset >= 0, offset <= directoryLimit, byteCount <= directoryLimit - offset else {
      throw Failure(
        .damagedFile, about: path, "the zip directory lies outside the file; it is truncated or damaged")
    }
  }
}

/// Reader of little-endian fields, one after another.
/// - Precondition: every call needs as many bytes left as it reads.
struct ByteFields {
  private let all: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { all = bytes }

  var left: Int { all.count - position }
  var isAtEnd: Bool { left == 0 }

  mutating func skip(_ count: Int) { position += count }

  mutating func bytes(_ count: Int) -> [UInt8] {
    defer { position += count }
    return Array(all[position..<position + count])
  }

  /// Reads an unsigned number of `count` bytes; negative if eight bytes have the highest bit set.
  mutating func integer(_ count: Int) -> Int {
    defer { position += count }
    return all[position..<position + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
