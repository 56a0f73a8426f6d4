import Support

/// Checksums of a safetensors file, in its metadata under ``key``: ``CRC32`` of the header, and of the bytes of each tensor.
///
/// The value is a list of numbers of eight hexadecimal digits with spaces between. The first number is that of the whole header
/// with its padding, in which the digits of this number count as zeros. The others are those of the tensors, in the order of
/// their places in the file. A file from elsewhere has no such metadata, and nothing is checked.
struct SafetensorsChecksums {
  /// Key of the metadata.
  static let key = "resnet.crc32"

  /// Check values of the tensors, in the order of their places.
  let tensors: [UInt32]

  /// Reads and checks the checksums of a header.
  /// - Parameters:
  ///   - text: value of the metadata.
  ///   - header: bytes of the header.
  ///   - count: number of tensors.
  /// - Throws: ``Failure`` if the header is not the one that the checksum was taken of.
  init(_ text: String, header: [UInt8], tensors count: Int, _ path: String) throws {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    let values = words.compactMap { word in UInt32(word, radix: 16).flatMap { CRC32.text($0) == word ? $0 : nil } }
    guard values.count == count + 1, values.count == words.count, let first = values.first,
      let digits = Self.digits(in: header)
    else { throw Self.damage(path) }
    var blank = header
    for index in digits { blank[index] = UInt8(ascii: "0") }
    guard CRC32.of(blank) == first else { throw Self.damage(path) }
    tensors = Array(values.dropFirst())
  }

  /// Returns the metadata of a header that has no checksum of its own yet.
  static func text(_ tensors: [UInt32]) -> String { ([0] + tensors).map(CRC32.text).joined(separator: " ") }

  /// Puts the header's own checksum into it, in place of the zeros of ``text(_:)``.
  static func seal(_ header: inout [UInt8]) {
    guard let digits = digits(in: header) else { preconditionFailure("[SafetensorsChecksums] a header without its key") }
    header.replaceSubrange(digits, with: Array(CRC32.text(CRC32.of(header)).utf8))
  }

  /// Returns the places of the header's own digits. In JSON without spaces the key is found as it is spelled here: within a string,
  /// its quotes would have backslashes.
  private static func digits(in header: [UInt8]) -> Range<Int>? {
    let begin = Array("\"\(key)\":\"".utf8)
    guard let found = header.firstRange(of: begin), found.upperBound + 8 <= header.count else { return nil }
    return found.upperBound..<found.upperBound + 8
  }

  private static func damage(_ path: String) -> Failure {
    Failure(
      .damagedFile, about: path,
      "the checksum of its header is wrong: it is damaged, or another program has changed it and kept the metadata '\(key)'")
  }
}
