import CTurboJPEG
import Support

/// JPEG files (ITU-T T.81) through libjpeg-turbo, with its accurate inverse DCT and smooth chroma upsampling, as Pillow uses
/// it.
enum JPEG {
  /// Start-of-image marker, and the first byte of the next marker.
  static let magic: [UInt8] = [0xFF, 0xD8, 0xFF]

  /// Reads the header.
  /// - Throws: a ``Failure`` if the header is damaged or of a kind that libjpeg-turbo does not decode.
  static func header(_ bytes: [UInt8], _ name: String) throws -> ImageHeader {
    let decoder = try Decoder(name)
    var (width, height, subsampling, colors) = (0 as Int32, 0 as Int32, 0 as Int32, 0 as Int32)
    let status = tjDecompressHeader3(decoder.handle, bytes, UInt(bytes.count), &width, &height, &subsampling, &colors)
    // This call alone fails for an uncommon subsampling, and by then the size is known.
    guard status == 0 || (width > 0 && height > 0) else { throw decoder.failure }
    guard width > 0, height > 0 else { throw Failure(.damagedFile, about: name, "corrupt JPEG, there is no image in it") }
    let isCMYK = colors == Int32(TJCS_CMYK.rawValue) || colors == Int32(TJCS_YCCK.rawValue)
    return ImageHeader(
      format: isCMYK ? .cmykJPEG : .jpeg, height: Int(height), width: Int(width), orientation: orientation(bytes))
  }

  /// Decodes the pixels.
  /// - Parameter reduction: 1, 2, 4 or 8; both sides are divided by it and rounded up.
  static func decode(_ image: EncodedImage, reduction: Int) throws -> RGBImage {
    let decoder = try Decoder(image.name)
    let height = (image.storedHeight + reduction - 1) / reduction
    let width = (image.storedWidth + reduction - 1) / reduction
    func decompress(_ pixels: UnsafeMutablePointer<UInt8>?, _ format: TJPF) throws {
      func isDone(_ flags: Int32) -> Bool {
        tjDecompress2(
          decoder.handle, image.bytes, UInt(image.bytes.count), pixels, Int32(width), 0, Int32(height), Int32(format.rawValue),
          flags) == 0
      }
      // The decoder stops at the first warning. After a harmless one it reports no others, so the end of the file is checked
      // too.
      if isDone(TJFLAG_LIMITSCANS | TJFLAG_STOPONWARNING) { return }
      guard decoder.isHarmless else { throw decoder.failure }
      guard isDone(TJFLAG_LIMITSCANS) || decoder.isHarmless else { throw decoder.failure }
      guard isWhole(image.bytes) else {
        throw Failure(.damagedFile, about: image.name, "corrupt JPEG, it ends before its end of image")
      }
    }
    guard image.format == .cmykJPEG else {
      return try RGBImage(height: height, width: width) { try decompress($0.baseAddress, TJPF_RGB) }
    }
    let inks = try [UInt8](unsafeUninitializedCapacity: height * width * 4) { buffer, filled in
      try decompress(buffer.baseAddress, TJPF_CMYK)
      filled = height * width * 4
    }
    return RGBImage(height: height, width: width) { convert(inks, into: $0) }
  }

  /// Converts inverted CMYK as Adobe stores it, [·,4], to RGB [·,3]. Each ink takes its share of the light that black lets
  /// through.
  private static func convert(_ inks: [UInt8], into pixels: UnsafeMutableBufferPointer<UInt8>) {
    for pixel in 0..<inks.count / 4 {
      let light = Int(inks[4 * pixel + 3])
      for channel in 0..<3 {
        let product = (255 - Int(inks[4 * pixel + channel])) * light + 128
        // Divides the product by 255, rounded to nearest.
        pixels[3 * pixel + channel] = UInt8(light - (product + product >> 8) >> 8)
      }
    }
  }

  /// Whether an end-of-image marker follows the beginning of the image's data.
  private static func isWhole(_ bytes: [UInt8]) -> Bool {
    var scan = 2
    segments(bytes) { _, content in
      scan = content.endIndex
      return true
    }
    return bytes.indices.dropLast().last { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xD9 }.map { $0 >= scan } ?? false
  }

  /// Returns the orientation in the first EXIF segment before the image's data, or else in the last XMP segment.
  private static func orientation(_ bytes: [UInt8]) -> Orientation {
    let packet = Array("http://ns.adobe.com/xap/1.0/\0".utf8)
    var (exif, xmp): (ArraySlice<UInt8>?, ArraySlice<UInt8>?)
    segments(bytes) { marker, content in
      guard marker == 0xE1 else { return true }
      if exif == nil, content.starts(with: EXIF.identifier) { exif = content }
      if content.starts(with: packet) { xmp = content.dropFirst(packet.count) }
      return true
    }
    return Orientation(exif: exif, xmp: xmp)
  }

  /// Calls `isNext` with each segment before the image's data, until it returns false.
  private static func segments(_ bytes: [UInt8], _ isNext: (_ marker: UInt8, _ content: ArraySlice<UInt8>) -> Bool) {
    var offset = 2
    while offset + 4 <= bytes.count, bytes[offset] == 0xFF {
      let marker = bytes[offset + 1]
      if marker == 0xFF {  // A fill byte.
        offset += 1
        continue
      }
      if marker == 0xDA || marker == 0xD9 { return }  // Start of scan, end of image.
      let length = Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3])
      let end = offset + 2 + length
      guard length >= 2, end <= bytes.count, isNext(marker, bytes[offset + 4..<end]) else { return }
      offset = end
    }
  }

  /// Warnings of libjpeg-turbo about files that cameras and editors write in this way, and whose pixels are all there. The
  /// words are those of its jerror.h.
  private static let harmlessWarnings = [
    "extraneous bytes before marker", "Invalid SOS parameters for sequential JPEG", "unknown JFIF revision number",
  ]

  /// Owner of a libjpeg-turbo decompressor.
  private struct Decoder: ~Copyable {
    let handle: tjhandle
    private let name: String

    init(_ name: String) throws {
      guard let handle = tjInitDecompress() else { throw Failure(.outOfMemory, about: name, "not enough memory to decode it") }
      self.handle = handle
      self.name = name
    }

    deinit { tjDestroy(handle) }

    private var message: String { String(cString: tjGetErrorStr2(handle)) }

    /// Error of the last call.
    var failure: Failure { Failure(Failure.Kind(libraryMessage: message), about: name, "corrupt JPEG, \(message)") }

    /// Whether the last call gave only a harmless warning.
    var isHarmless: Bool {
      tjGetErrorCode(handle) == Int32(TJERR_WARNING.rawValue) && harmlessWarnings.contains { message.contains($0) }
    }
  }
}
