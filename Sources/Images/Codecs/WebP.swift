import CWebP
import Support

/// WebP files (RFC 9649) through libwebp: still images, and the first frame of animations, on a black canvas.
enum WebP {
  private static let (container, form) = (Array("RIFF".utf8), Array("WEBP".utf8))

  static func isWebP(_ bytes: [UInt8]) -> Bool { bytes.starts(with: container) && bytes.dropFirst(8).starts(with: form) }

  /// Reads the header.
  /// - Throws: a ``Failure`` if the file is incomplete.
  static func header(_ bytes: [UInt8], _ name: String) throws -> ImageHeader {
    try bytes.withUnsafeBufferPointer { buffer in
      let parts = try Demuxer(buffer, name)
      return ImageHeader(
        format: .webP, height: parts.feature(WEBP_FF_CANVAS_HEIGHT), width: parts.feature(WEBP_FF_CANVAS_WIDTH),
        orientation: Orientation(exif: parts.chunk("EXIF"), xmp: parts.chunk("XMP ")))
    }
  }

  static func decode(_ image: EncodedImage) throws -> RGBImage {
    let (height, width) = (image.storedHeight, image.storedWidth)
    return try image.bytes.withUnsafeBufferPointer { buffer in
      let parts = try Demuxer(buffer, image.name)
      return try RGBImage(height: height, width: width) { pixels in
        pixels.initialize(repeating: 0)
        var frame = WebPIterator()
        guard WebPDemuxGetFrame(parts.handle, 1, &frame) != 0 else { throw parts.failure }
        defer { WebPDemuxReleaseIterator(&frame) }
        let (top, left) = (Int(frame.y_offset), Int(frame.x_offset))
        guard top >= 0, left >= 0, top + Int(frame.height) <= height, left + Int(frame.width) <= width else {
          throw parts.failure
        }
        let target = UnsafeMutableBufferPointer(rebasing: pixels[((top * width + left) * 3)...])
        guard
          WebPDecodeRGBInto(frame.fragment.bytes, frame.fragment.size, target.baseAddress, target.count, Int32(width * 3)) != nil
        else { throw parts.failure }
      }
    }
  }

  /// Owner of the parts of a file.
  private struct Demuxer: ~Copyable {
    let handle: OpaquePointer
    private let name: String

    /// - Parameter bytes: the file, which must stay valid while its parts are used.
    init(_ bytes: UnsafeBufferPointer<UInt8>, _ name: String) throws {
      var data = WebPData(bytes: bytes.baseAddress, size: bytes.count)
      guard let handle = WebPDemux(&data) else {
        throw Failure(.damagedFile, about: name, "corrupt WebP, its parts do not fit or end early")
      }
      self.handle = handle
      self.name = name
    }

    deinit { WebPDemuxDelete(handle) }

    var failure: Failure { Failure(.damagedFile, about: name, "corrupt WebP, its pixels cannot be decoded") }

    func feature(_ feature: WebPFormatFeature) -> Int { Int(WebPDemuxGetI(handle, feature)) }

    /// Returns the content of the first chunk with these four letters; nil if there is none.
    func chunk(_ letters: String) -> ArraySlice<UInt8>? {
      var chunk = WebPChunkIterator()
      guard WebPDemuxGetChunk(handle, letters, 1, &chunk) != 0 else { return nil }
      defer { WebPDemuxReleaseChunkIterator(&chunk) }
      return Array(UnsafeBufferPointer(start: chunk.chunk.bytes, count: chunk.chunk.size))[...]
    }
  }
}
