import Glibc
import PNGCodec
import Support

/// PNG files (W3C, "Portable Network Graphics (PNG) Specification", third edition) through libpng.
enum PNG {
  static let magic: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Reads the header.
  /// - Throws: a ``Failure`` if the chunks are invalid.
  static func header(_ bytes: [UInt8], _ name: String) throws -> ImageHeader {
    func number(_ offset: Int) -> Int { bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }
    var offset = magic.count
    var size: (height: Int, width: Int)?
    var (exif, profile, xmp): (ArraySlice<UInt8>?, ArraySlice<UInt8>?, ArraySlice<UInt8>?)
    // A chunk consists of length, type, data and checksum.
    while offset + 12 <= bytes.count {
      let length = number(offset)
      guard length <= bytes.count - offset - 12 else { break }
      let type = String(decoding: bytes[offset + 4..<offset + 8], as: UTF8.self)
      if size == nil {
        guard type == "IHDR", length == 13 else {
          throw Failure(.damagedFile, about: name, "corrupt PNG, it does not begin with a header")
        }
        size = (height: number(offset + 12), width: number(offset + 8))
      }
      let content = bytes[offset + 8..<offset + 8 + length]
      if type == "eXIf" {
        exif = content
      } else if let text = PNGText(type, content) {
        if text.keyword == PNGText.exifProfile { profile = text.profile }
        if text.keyword == PNGText.xmpPacket { xmp = text.text }
      }
      if type == "IEND" { break }
      offset += 12 + length
    }
    guard let size else { throw Failure(.damagedFile, about: name, "truncated PNG, it ends within its header") }
    return ImageHeader(
      format: .png, height: size.height, width: size.width, orientation: Orientation(exif: exif ?? profile, xmp: xmp))
  }

  static func decode(_ image: EncodedImage) throws -> RGBImage {
    let (height, width) = (image.storedHeight, image.storedWidth)
    return try RGBImage(height: height, width: width) { pixels in
      var message = CMessage(Int(PNG_CODEC_MESSAGE))
      let status = image.bytes.withUnsafeBufferPointer {
        png_codec_decode($0.baseAddress, $0.count, pixels.baseAddress, UInt32(width), UInt32(height), &message.characters)
      }
      guard status == 0 else {
        throw Failure(Failure.Kind(libraryMessage: message.description), about: image.name, "corrupt PNG, \(message)")
      }
    }
  }

  /// Encodes an image as a PNG.
  /// - Throws: a ``Failure`` if there is not enough memory, or if the image is too large for the format.
  static func encode(_ image: RGBImage) throws -> [UInt8] {
    var (message, bytes, count) = (CMessage(Int(PNG_CODEC_MESSAGE)), UnsafeMutablePointer<UInt8>?.none, 0)
    let status = png_codec_encode(image.pixels, UInt32(image.width), UInt32(image.height), &bytes, &count, &message.characters)
    guard status == 0 else {
      // Pixels in memory cannot be damaged, so they are too many for the format.
      let kind = Failure.Kind(libraryMessage: message.description)
      throw Failure(
        kind == .damagedFile ? .unsupported : kind, "cannot make a PNG of \(image.height)×\(image.width) pixels: \(message)")
    }
    defer { free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}

extension RGBImage {
  /// Writes the image as a PNG of 8-bit RGB, atomically.
  /// - Throws: a ``Failure`` if the file cannot be written.
  public func writePNG(to path: String) throws { try AtomicFile.write(try png(), to: path) }

  /// Returns the image as the bytes of a PNG file of 8-bit RGB.
  /// - Throws: a ``Failure`` if there is not enough memory, or if the image is too large for the format.
  package func png() throws -> [UInt8] { try PNG.encode(self) }
}
