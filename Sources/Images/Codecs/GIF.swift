import CGIF
import Support

/// GIF files (CompuServe, "Graphics Interchange Format", version 89a) through giflib: the first frame, on its screen.
///
/// The area around a frame that is smaller than the screen has the transparent color if there is one, otherwise the first
/// color of the palette, as in Pillow. Without a palette, colors are gray.
enum GIF {
  static let magics = [Array("GIF87a".utf8), Array("GIF89a".utf8)]

  /// Reads the header.
  /// - Throws: a ``Failure`` if there is no frame.
  static func header(_ bytes: [UInt8], _ name: String) throws -> ImageHeader {
    try bytes.withUnsafeBufferPointer { buffer in
      let frame = try Reader(buffer, name).firstFrame()
      return ImageHeader(format: .gif, height: frame.screenHeight, width: frame.screenWidth, orientation: .topLeft)
    }
  }

  static func decode(_ image: EncodedImage) throws -> RGBImage {
    let (height, width) = (image.storedHeight, image.storedWidth)
    return try image.bytes.withUnsafeBufferPointer { buffer in
      let reader = try Reader(buffer, image.name)
      let frame = try reader.firstFrame()
      let colors = frame.colors
      return try RGBImage(height: height, width: width) { pixels in
        func set(_ pixel: Int, _ index: UInt8) {
          let color = colors[Int(index)]
          (pixels[3 * pixel], pixels[3 * pixel + 1], pixels[3 * pixel + 2]) = (color.x, color.y, color.z)
        }
        for pixel in 0..<height * width { set(pixel, frame.transparent ?? 0) }
        var line = [UInt8](repeating: 0, count: frame.width)
        for row in frame.rows where !line.isEmpty {
          try reader.read(&line)
          let begin = (frame.top + row) * width + frame.left
          for (column, index) in line.enumerated() { set(begin + column, index) }
        }
      }
    }
  }

  /// Position of a frame on the screen, and the meaning of its values.
  private struct Frame {
    let top, left, height, width: Int
    /// Size of the screen, enlarged if the frame extends beyond it.
    let screenHeight, screenWidth: Int
    let isInterlaced: Bool
    /// Value of transparent pixels; nil if there is none.
    let transparent: UInt8?
    /// Colors of 256 values; black for those that the palette lacks.
    let colors: [SIMD3<UInt8>]

    /// Rows in the order in which they are stored.
    var rows: [Int] {
      guard isInterlaced else { return Array(0..<height) }
      return [(0, 8), (4, 8), (2, 4), (1, 2)].flatMap { Array(stride(from: $0.0, to: height, by: $0.1)) }
    }
  }

  /// Owner of a giflib reader.
  private final class Reader {
    private var handle: UnsafeMutablePointer<GifFileType>?
    private let name: String
    private let bytes: UnsafeBufferPointer<UInt8>
    private var place = 0

    /// - Parameter bytes: the file, which must stay valid while it is read.
    init(_ bytes: UnsafeBufferPointer<UInt8>, _ name: String) throws {
      self.bytes = bytes
      self.name = name
      var error: Int32 = 0
      handle = DGifOpen(
        Unmanaged.passUnretained(self).toOpaque(),
        { gif, target, count in
          guard let gif, let target, let data = gif.pointee.UserData else { return 0 }
          return Int32(Unmanaged<Reader>.fromOpaque(data).takeUnretainedValue().copy(Int(count), to: target))
        }, &error)
      if handle == nil { throw failure(error) }
    }

    deinit {
      var error: Int32 = 0
      if let handle { DGifCloseFile(handle, &error) }
    }

    private func copy(_ count: Int, to target: UnsafeMutablePointer<UInt8>) -> Int {
      // A file may lack the end of its blocks. That is not an error if all pixels are there.
      if count == 1 && place == bytes.count {
        target.pointee = 0
        return 1
      }
      let given = min(count, bytes.count - place)
      if let base = bytes.baseAddress, given > 0 { target.update(from: base + place, count: given) }
      place += given
      return given
    }

    private func failure(_ code: Int32) -> Failure {
      let reason = GifErrorString(code).map { String(cString: $0) } ?? "it cannot be read"
      return Failure(
        code == D_GIF_ERR_NOT_ENOUGH_MEM ? .outOfMemory : .damagedFile, about: name,
        "corrupt GIF, \(reason.first.map { $0.lowercased() } ?? "")\(reason.dropFirst())")
    }

    /// Reads up to the pixels of the first frame.
    func firstFrame() throws -> Frame {
      guard let handle else { throw failure(D_GIF_ERR_NOT_READABLE) }
      func check(_ status: Int32) throws { if status == GIF_ERROR { throw failure(handle.pointee.Error) } }
      var transparent: UInt8?
      while true {
        var kind = UNDEFINED_RECORD_TYPE
        try check(DGifGetRecordType(handle, &kind))
        switch kind {
        case IMAGE_DESC_RECORD_TYPE:
          try check(DGifGetImageDesc(handle))
          return frame(handle.pointee, transparent)
        case EXTENSION_RECORD_TYPE:
          var (code, block): (Int32, UnsafeMutablePointer<GifByteType>?) = (0, nil)
          try check(DGifGetExtension(handle, &code, &block))
          // The block holds a byte count of four, flags, a duration of two bytes, and the transparent value.
          if code == GRAPHICS_EXT_FUNC_CODE, let block, block[0] >= 4, block[1] & 1 == 1 { transparent = block[4] }
          while block != nil { try check(DGifGetExtensionNext(handle, &block)) }
        case TERMINATE_RECORD_TYPE: throw Failure(.damagedFile, about: name, "corrupt GIF, there is no image in it")
        default: throw failure(D_GIF_ERR_WRONG_RECORD)
        }
      }
    }

    private func frame(_ gif: GifFileType, _ transparent: UInt8?) -> Frame {
      let image = gif.Image
      var colors = (0...255).map { SIMD3(repeating: UInt8($0)) }
      if let map = (image.ColorMap ?? gif.SColorMap)?.pointee {
        for index in 0..<256 {
          colors[index] =
            index < Int(map.ColorCount)
            ? SIMD3(map.Colors[index].Red, map.Colors[index].Green, map.Colors[index].Blue) : SIMD3(repeating: 0)
        }
      }
      let (top, left, height, width) = (Int(image.Top), Int(image.Left), Int(image.Height), Int(image.Width))
      return Frame(
        top: top, left: left, height: height, width: width, screenHeight: max(Int(gif.SHeight), top + height),
        screenWidth: max(Int(gif.SWidth), left + width), isInterlaced: image.Interlace, transparent: transparent, colors: colors)
    }

    /// Reads the next row.
    func read(_ line: inout [UInt8]) throws {
      guard DGifGetLine(handle, &line, Int32(line.count)) != GIF_ERROR else {
        throw failure(handle?.pointee.Error ?? D_GIF_ERR_NOT_READABLE)
      }
    }
  }
}
