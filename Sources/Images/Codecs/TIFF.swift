import Support
import TIFFCodec

/// TIFF files (revision 6.0, and BigTIFF) through libtiff: the first image.
enum TIFF {
  /// First bytes of a file, for both byte orders and both sizes of offsets.
  static let magics: [[UInt8]] = [
    [0x49, 0x49, 42, 0], [0x4D, 0x4D, 0, 42], [0x49, 0x49, 43, 0], [0x4D, 0x4D, 0, 43],
  ]

  /// Reads the header.
  /// - Throws: a ``Failure`` if the header is damaged.
  static func header(_ bytes: [UInt8], _ name: String) throws -> ImageHeader {
    try bytes.withUnsafeBufferPointer { buffer in
      let codec = try Codec(buffer, name)
      var header = tiff_codec_header()
      tiff_codec_read_header(codec.handle, &header)
      let packet = UnsafeBufferPointer(start: header.xmp, count: Int(header.xmp_count))
      let orientation =
        header.orientation == 0 ? Orientation(exif: nil, xmp: Array(packet)[...]) : Orientation(rawValue: Int(header.orientation))
      return ImageHeader(
        format: .tiff, height: Int(header.height), width: Int(header.width), orientation: orientation ?? .topLeft)
    }
  }

  static func decode(_ image: EncodedImage) throws -> RGBImage {
    try image.bytes.withUnsafeBufferPointer { buffer in
      let codec = try Codec(buffer, image.name)
      return try RGBImage(height: image.storedHeight, width: image.storedWidth) { pixels in
        var message = CMessage(Int(TIFF_CODEC_MESSAGE))
        guard tiff_codec_decode(codec.handle, pixels.baseAddress, &message.characters) == 0 else {
          throw Failure(
            Failure.Kind(libraryMessage: message.description), about: image.name, "cannot decode the TIFF, \(message)")
        }
      }
    }
  }

  /// Owner of an open file.
  private struct Codec: ~Copyable {
    let handle: OpaquePointer

    /// - Parameter bytes: the file, which must stay valid while it is open.
    init(_ bytes: UnsafeBufferPointer<UInt8>, _ name: String) throws {
      var message = CMessage(Int(TIFF_CODEC_MESSAGE))
      guard let handle = tiff_codec_open(bytes.baseAddress, bytes.count, &message.characters) else {
        throw Failure(Failure.Kind(libraryMessage: message.description), about: name, "corrupt TIFF, \(message)")
      }
      self.handle = handle
    }

    deinit { tiff_codec_close(handle) }
  }
}

/// Buffer for a C message, of one line.
struct CMessage: CustomStringConvertible {
  var characters: [CChar]

  init(_ count: Int) { characters = [CChar](repeating: 0, count: count) }

  var description: String {
    String(decoding: characters.prefix { $0 != 0 }.map { $0 == 10 ? 32 : UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension Failure.Kind {
  /// Kind of the failure of an image library, which says only in words what is wrong: a damaged file, unless the words tell of
  /// a feature or a size that is not supported, or of memory.
  init(libraryMessage: String) {
    let text = libraryMessage.lowercased()
    func says(_ words: String...) -> Bool { words.contains { text.contains($0) } }
    // A limit on memory comes first, because it speaks of an allocation too.
    if says("unsupported", "not supported", "not implemented", "not configured", "can not handle", "beyond the", " scans") {
      self = .unsupported
    } else if says("not enough memory", "insufficient memory", "out of memory", "allocate memory", "memory allocation") {
      self = .outOfMemory
    } else {
      self = .damagedFile
    }
  }
}
