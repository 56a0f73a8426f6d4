/// Reader of the orientation in EXIF data, a TIFF structure (TIFF 6.0, section 2).
enum EXIF {
  /// Identifier that may stand before the structure, and does so in JPEG files.
  static let identifier = Array("Exif\0\0".utf8)

  private static let orientationTag = 0x0112
  /// Sizes in bytes of the integer types that Pillow accepts: SHORT, LONG, SSHORT, SLONG.
  private static let widths = [3: 2, 4: 4, 8: 2, 9: 4]

  /// Reads the value of the orientation tag.
  /// - Parameter bytes: the TIFF structure, with or without ``identifier`` before it.
  /// - Returns: the value, whatever it is; nil if there is no such tag. Damage elsewhere in the EXIF data is not an error: it
  ///   is common in intact images.
  static func orientation(_ bytes: ArraySlice<UInt8>) -> Int? {
    var bytes = bytes
    while bytes.starts(with: identifier) { bytes = bytes.dropFirst(identifier.count) }
    let isLittle: Bool
    switch bytes.prefix(4) {
    case [0x49, 0x49, 42, 0]: isLittle = true
    case [0x4D, 0x4D, 0, 42]: isLittle = false
    default: return nil
    }
    func number(_ offset: Int, _ count: Int) -> Int? {
      guard offset <= bytes.count - count else { return nil }
      let part = bytes[(bytes.startIndex + offset)..<(bytes.startIndex + offset + count)]
      return isLittle ? part.reversed().reduce(0) { $0 << 8 | Int($1) } : part.reduce(0) { $0 << 8 | Int($1) }
    }
    guard let directory = number(4, 4), let count = number(directory, 2) else { return nil }
    for entry in 0..<count {
      let offset = directory + 2 + 12 * entry
      guard let tag = number(offset, 2), let type = number(offset + 2, 2), let values = number(offset + 4, 4) else { return nil }
      guard tag == orientationTag else { continue }
      // A tag with an invalid value is present all the same. It means that the image stays as it is.
      guard values > 0, let width = widths[type] else { return 0 }
      // The first of several values counts, though there should be only one. Values of more than four bytes are stored
      // elsewhere.
      let isHere = values <= 4 / width
      return (isHere ? offset + 8 : number(offset + 8, 4)).flatMap { number($0, width) } ?? 0
    }
    return nil
  }
}

/// Reader of the orientation in an XMP packet (ISO 16684-1), XML that editors write.
enum XMP {
  private static let name = Array("tiff:Orientation".utf8)

  /// Reads the orientation.
  /// - Returns: the first digit in the attribute or element; nil if there is none.
  static func orientation(_ packet: ArraySlice<UInt8>) -> Int? {
    var rest = packet
    while let place = find(name, in: rest) {
      rest = rest[(place + name.count)...]
      let skipped = rest.starts(with: [UInt8(ascii: "="), UInt8(ascii: "\"")]) ? 2 : rest.first == UInt8(ascii: ">") ? 1 : 0
      guard skipped > 0, let digit = rest.dropFirst(skipped).first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else {
        continue
      }
      return Int(digit - UInt8(ascii: "0"))
    }
    return nil
  }

  private static func find(_ pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    bytes.indices.first { bytes[$0] == pattern[0] && bytes[$0...].starts(with: pattern) }
  }
}
