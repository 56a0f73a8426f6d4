import CZlib

/// Text chunk of a PNG file (PNG specification, section 11.3.3) that may hold the orientation of the camera.
struct PNGText {
  /// Keyword under which ImageMagick and other programs store EXIF data, in hexadecimal.
  static let exifProfile = "Raw profile type exif"
  /// Keyword of an XMP packet.
  static let xmpPacket = "XML:com.adobe.xmp"

  /// Maximum size of an inflated text in bytes, as in Pillow: a few kilobytes can become gigabytes.
  private static let mostBytes = 1 << 20

  let keyword: String
  /// Text, inflated if it was compressed.
  let text: ArraySlice<UInt8>

  /// - Returns: nil for a chunk of another type or with another keyword, and for a damaged chunk, as the image is intact
  ///   without it.
  init?(_ type: String, _ content: ArraySlice<UInt8>) {
    guard ["tEXt", "zTXt", "iTXt"].contains(type), let end = content.firstIndex(of: 0) else { return nil }
    keyword = String(decoding: content[..<end], as: UTF8.self)
    guard [Self.exifProfile, Self.xmpPacket].contains(keyword) else { return nil }
    var rest = content[(end + 1)...]
    var isCompressed = type == "zTXt"
    if type == "iTXt" {
      guard let flag = rest.popFirst() else { return nil }
      isCompressed = flag != 0
    }
    // Skips the compression method, of which there is only one.
    if type != "tEXt", rest.popFirst() != 0, isCompressed { return nil }
    if type == "iTXt" {
      // Skips the language and the translated keyword.
      let parts = rest.split(separator: 0, maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { return nil }
      rest = parts[2]
    }
    guard isCompressed else {
      text = rest
      return
    }
    guard let inflated = Self.inflated(rest) else { return nil }
    text = inflated[...]
  }

  /// Bytes of a profile. Its text is an empty line, a line with its name, a line with its length, and then hexadecimal
  /// digits.
  var profile: ArraySlice<UInt8>? {
    let lines = text.split(separator: UInt8(ascii: "\n"), maxSplits: 3, omittingEmptySubsequences: false)
    guard lines.count == 4 else { return nil }
    let digits = lines[3].filter { !" \n\r\t".utf8.contains($0) }.map { Character(Unicode.Scalar($0)).hexDigitValue }
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = digits[index], let low = digits[index + 1] else { return nil }
      bytes.append(UInt8(high << 4 | low))
    }
    return bytes[...]
  }

  private static func inflated(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
    var status: Int32 = Z_OK
    let inflated = [UInt8](unsafeUninitializedCapacity: mostBytes) { buffer, filled in
      var count = uLongf(mostBytes)
      status = bytes.withUnsafeBufferPointer { uncompress(buffer.baseAddress, &count, $0.baseAddress, uLong($0.count)) }
      filled = status == Z_OK ? Int(count) : 0
    }
    return status == Z_OK ? inflated : nil
  }
}
