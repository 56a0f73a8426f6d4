import Images
import TestSupport
import Testing

/// Tests files that are not what they seem: each is refused with one line that names it.
@Suite struct HostileTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let bytes: @Sendable () throws -> [UInt8]
    /// Text that the message must contain.
    let says: String
    var testDescription: String { name }

    init(_ name: String, _ says: String, _ bytes: @escaping @Sendable () throws -> [UInt8]) {
      (self.name, self.says, self.bytes) = (name, says, bytes)
    }

    /// Makes a changed fixture.
    init(_ name: String, _ file: String, _ says: String, _ change: @escaping @Sendable (inout [UInt8]) -> Void) {
      self.init(name, says) {
        var bytes = try Fixtures.bytes(file)
        change(&bytes)
        return bytes
      }
    }
  }

  static let cases: [Case] = [
    Case("nothing", "empty") { [] },
    Case("one byte", "not an image in a format that is read here") { [0xFF] },
    Case("text", "an HTML page") { Array("<!DOCTYPE html>".utf8) },
    Case("zeros", "not an image in a format that is read here (JPEG, PNG, WebP, GIF, BMP, TIFF)") {
      [UInt8](repeating: 0, count: 100)
    },
    Case("text that begins as a BMP", "not an image") { Array("BMW and other cars, of many years".utf8) },

    Case("a JPEG's magic alone", "corrupt JPEG") { [0xFF, 0xD8, 0xFF] },
    Case("a JPEG of an end", "corrupt JPEG") { [0xFF, 0xD8, 0xFF, 0xD9] },
    Case("a JPEG cut in its header", "444.jpg", "corrupt JPEG") { $0 = Array($0.prefix(60)) },
    Case("a JPEG cut before its scan", "444.jpg", "corrupt JPEG") { $0 = Array($0.prefix(find([0xFF, 0xDA], in: $0) + 4)) },
    Case("a JPEG cut in the middle", "444.jpg", "corrupt JPEG") { $0 = Array($0.prefix($0.count * 3 / 4)) },
    Case("a JPEG without end of image", "444.jpg", "corrupt JPEG") { $0.removeLast(2) },
    Case("a progressive JPEG cut in the middle", "progressive.jpg", "corrupt JPEG") { $0 = Array($0.prefix($0.count / 2)) },
    Case("a JPEG of zeros for data", "444.jpg", "corrupt JPEG") { bytes in
      for index in find([0xFF, 0xDA], in: bytes) + 20..<bytes.count - 2 { bytes[index] = 0xFF }
    },
    Case("a JPEG with a marker in its data", "420.jpg", "corrupt JPEG") { bytes in
      let middle = find([0xFF, 0xDA], in: bytes) + 60
      (bytes[middle], bytes[middle + 1]) = (0xFF, 0xD3)
    },
    Case("a JPEG without its own Huffman tables", "420.jpg", "corrupt JPEG") { $0[find([0xFF, 0xC4], in: $0) + 1] = 0xFE },
    Case("a JPEG without quantization tables", "444.jpg", "corrupt JPEG") { bytes in
      while find([0xFF, 0xDB], in: bytes) < bytes.count { bytes[find([0xFF, 0xDB], in: bytes) + 1] = 0xFE }
    },
    Case("a JPEG of 12 bits", "444.jpg", "precision") { $0[find([0xFF, 0xC0], in: $0) + 4] = 12 },
    Case("a JPEG of 65500×65500 pixels", "444.jpg", "over the bound") { setJPEGSize(&$0, 65500, 65500) },
    Case("a JPEG of 65000×10 pixels in few bytes", "444.jpg", "corrupt JPEG") { setJPEGSize(&$0, 65000, 10) },
    Case("a JPEG of no height", "444.jpg", "corrupt JPEG") { setJPEGSize(&$0, 0, 35) },
    Case("a JPEG of no width", "444.jpg", "corrupt JPEG") { setJPEGSize(&$0, 27, 0) },
    Case("a JPEG of two frames", "444.jpg", "corrupt JPEG") { bytes in
      let frame = find([0xFF, 0xC0], in: bytes)
      bytes.insert(contentsOf: bytes[frame..<frame + 19], at: frame)
    },
    Case("a JPEG with a segment of no length", "444.jpg", "corrupt JPEG") { bytes in
      let table = find([0xFF, 0xDB], in: bytes)
      (bytes[table + 2], bytes[table + 3]) = (0, 0)
    },
    Case("a JPEG with a segment beyond its end", "444.jpg", "corrupt JPEG") { bytes in
      let table = find([0xFF, 0xDB], in: bytes)
      (bytes[table + 2], bytes[table + 3]) = (0xFF, 0xFF)
    },

    Case("a PNG's magic alone", "rgb.png", "truncated PNG") { $0 = Array($0.prefix(8)) },
    Case("a PNG cut in its header", "rgb.png", "truncated PNG") { $0 = Array($0.prefix(20)) },
    Case("a PNG cut in the middle", "rgb.png", "ends early") { $0 = Array($0.prefix($0.count / 2)) },
    Case("a PNG without its last pixel", "rgb.png", "ends early") { $0.removeLast(24) },
    Case("an interlaced PNG without its last pixel", "rgba-interlaced.png", "ends early") { $0.removeLast(24) },
    Case("a PNG with a damaged header", "rgb.png", "corrupt PNG, IHDR: CRC error") { $0[19] ^= 1 },
    Case("a PNG with damaged data", "rgb.png", "corrupt PNG") { $0[find(Array("IDAT".utf8), in: $0) + 50] ^= 0x55 },
    Case("a PNG with a damaged chunk of less importance", "rgb-gamma.png", "gAMA: CRC error") {
      $0[find(Array("gAMA".utf8), in: $0) + 5] ^= 1
    },
    Case("a PNG that begins with another chunk", "rgb.png", "does not begin with a header") { $0[12] = 0x4A },
    Case("a PNG of no width", "rgb.png", "has none") { changeHeader(&$0, 0, [0, 0, 0, 0]) },
    Case("a PNG of 2³¹−1 pixels a row", "rgb.png", "over the bound") { changeHeader(&$0, 0, [0x7F, 0xFF, 0xFF, 0xFF]) },
    Case("a PNG of 2³²−1 rows", "rgb.png", "over the bound") { changeHeader(&$0, 4, [0xFF, 0xFF, 0xFF, 0xFF]) },
    Case("a PNG of 60000×60000 pixels", "rgb.png", "over the bound") {
      changeHeader(&$0, 0, [0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60])
    },
    Case("a PNG of more rows than it has", "rgb.png", "corrupt PNG") { changeHeader(&$0, 4, [0, 0, 1, 0]) },
    Case("a PNG of 3 bits", "rgb.png", "corrupt PNG") { changeHeader(&$0, 8, [3]) },
    Case("a PNG of an unknown color type", "rgb.png", "corrupt PNG") { changeHeader(&$0, 9, [5]) },
    Case("a PNG of an unknown compression", "rgb.png", "corrupt PNG") { changeHeader(&$0, 10, [9]) },
    Case("a PNG of an unknown interlacing", "rgb.png", "corrupt PNG") { changeHeader(&$0, 12, [9]) },
    Case("a PNG without its palette", "palette8.png", "corrupt PNG") { bytes in
      let palette = find(Array("PLTE".utf8), in: bytes)
      bytes.removeSubrange(palette - 4..<palette + 8 + 768)
    },
    Case("a PNG with an unknown chunk that counts", "rgb.png", "corrupt PNG") { bytes in
      bytes.insert(contentsOf: chunk("ABCD", [1, 2, 3]), at: 33)
    },
    Case("a PNG with a chunk beyond its end", "rgb.png", "corrupt PNG") { $0[33] = 0x7F },

    Case("a WebP's first bytes alone", "lossless.webp", "corrupt WebP") { $0 = Array($0.prefix(12)) },
    Case("a WebP cut in the middle", "lossless.webp", "corrupt WebP") { $0 = Array($0.prefix($0.count / 2)) },
    Case("a lossy WebP cut in the middle", "lossy.webp", "corrupt WebP") { $0 = Array($0.prefix($0.count / 2)) },
    Case("a WebP with damaged data", "lossless.webp", "corrupt WebP") { bytes in
      for index in 30..<80 { bytes[index] = 0xFF }
    },
    Case("a WebP of 2²⁴×2²⁴ pixels", "moving-part.webp", "corrupt WebP") { bytes in
      for index in 24..<30 { bytes[index] = 0xFF }
    },
    Case("a WebP of 60000×60000 pixels", "moving-part.webp", "over the bound") { bytes in
      bytes.replaceSubrange(24..<30, with: [0x5F, 0xEA, 0, 0x5F, 0xEA, 0])
    },
    Case("a WebP with a frame that reaches out of it", "moving-part.webp", "corrupt WebP") { $0[24] = 10 },

    Case("a GIF's first bytes alone", "corrupt GIF") { Array("GIF89a".utf8) },
    Case("a GIF without an image", "there is no image in it") { Array("GIF89a\u{1}\0\u{1}\0\0\0\0;".utf8) },
    Case("a GIF cut in its palette", "palette.gif", "corrupt GIF") { $0 = Array($0.prefix(50)) },
    Case("a GIF cut in the middle", "palette.gif", "corrupt GIF") { $0 = Array($0.prefix($0.count / 2)) },
    Case("a GIF of 65535×65535 pixels", "palette.gif", "over the bound") {
      $0.replaceSubrange(6..<10, with: [0xFF, 0xFF, 0xFF, 0xFF])
    },
    Case("a GIF whose frame is far out of its screen", "on-a-screen.gif", "over the bound") { bytes in
      let frame = find([0x2C, 3, 0, 2, 0], in: bytes)
      for index in frame + 1..<frame + 9 { bytes[index] = 0xFF }
    },
    Case("a GIF of nothing", "palette.gif", "has none") { bytes in
      bytes.replaceSubrange(6..<10, with: [0, 0, 0, 0])
      bytes.replaceSubrange(
        find([0x2C, 0, 0, 0, 0, 23], in: bytes) + 5..<find([0x2C, 0, 0, 0, 0, 23], in: bytes) + 9, with: [0, 0, 0, 0])
    },
    Case("a GIF with an unknown block", "palette.gif", "corrupt GIF") { $0[find([0x2C, 0, 0, 0, 0, 23], in: $0)] = 0x55 },

    Case("a BMP cut in its header", "rgb.bmp", "ends within its header") { $0 = Array($0.prefix(30)) },
    Case("a BMP cut in its pixels", "rgb.bmp", "ends within its pixels") { $0.removeLast(100) },
    Case("a BMP cut in its runs", "runs8.bmp", "ends within its pixels") { $0.removeLast(8) },
    Case("a BMP of 2³¹ pixels a row", "rgb.bmp", "over the bound") { $0[21] = 0x80 },
    Case("a BMP of −2³¹ rows", "rgb.bmp", "over the bound") { $0.replaceSubrange(22..<26, with: [0, 0, 0, 0x80]) },
    Case("a BMP of 60000×60000 pixels", "rgb.bmp", "over the bound") {
      $0.replaceSubrange(18..<26, with: [0x60, 0xEA, 0, 0, 0x60, 0xEA, 0, 0])
    },
    Case("a BMP of no width", "rgb.bmp", "has none") { $0.replaceSubrange(18..<22, with: [0, 0, 0, 0]) },
    Case("a BMP of 3 bits", "rgb.bmp", "do not go with") { $0[28] = 3 },
    Case("a BMP of runs of 24 bits", "rgb.bmp", "do not go with") { $0[30] = 1 },
    Case("a BMP with a JPEG in it", "rgb.bmp", "compression 4, which is not supported") { $0[30] = 4 },
    Case("a BMP whose pixels begin beyond its end", "rgb.bmp", "ends within its pixels") { $0[13] = 0x7F },
    Case("a BMP of fields with gaps", "16.bmp", "fields of bits") { $0[55] = 0xF1 },
    Case("a BMP of fields beyond its bits", "16.bmp", "fields of bits") { $0[57] = 0xF1 },

    Case("a TIFF's first bytes alone", "corrupt TIFF") { [0x49, 0x49, 42, 0] },
    Case("a TIFF cut before its directory", "rgb.tif", "corrupt TIFF") { $0 = Array($0.prefix(400)) },
    Case("a TIFF whose directory is beyond its end", "rgb.tif", "corrupt TIFF") { $0[7] = 0x7F },
    Case("a TIFF cut in its pixels", "lzw.tif", "TIFF") { $0.removeLast($0.count / 2) },
    Case("a TIFF of 2³²−1 pixels a row", "rgb.tif", "over the bound") { setTag(&$0, 256, [0xFF, 0xFF, 0xFF, 0xFF]) },
    Case("a TIFF of 60000×60000 pixels", "rgb.tif", "over the bound") {
      setTag(&$0, 256, [0x60, 0xEA, 0, 0])
      setTag(&$0, 257, [0x60, 0xEA, 0, 0])
    },
    Case("a TIFF of more rows than it has", "rgb.tif", "cannot decode the TIFF") { setTag(&$0, 257, [0, 1, 0, 0]) },
    Case("a TIFF of 60000 samples", "rgb.tif", "TIFF") { setTag(&$0, 277, [0x60, 0xEA, 0, 0]) },
    Case("a TIFF of 12 bits", "gray8.tif", "a number of bits of 12") { setTag(&$0, 258, [12, 0, 0, 0]) },
    Case("a TIFF of L*a*b* colors", "rgb.tif", "its colors are of kind 8") { setTag(&$0, 262, [8, 0, 0, 0]) },
    Case("a TIFF of an unknown compression", "rgb.tif", "TIFF") { setTag(&$0, 259, [0x99, 0x99, 0, 0]) },
    Case("a TIFF of tiles of 2³¹ pixels a side", "rgb-tiles.tif", "TIFF") {
      setTag(&$0, 322, [0, 0, 0, 0x80], type: 4)
      setTag(&$0, 323, [0, 0, 0, 0x80], type: 4)
    },
    Case("a TIFF of tiles of nothing", "rgb-tiles.tif", "TIFF") { setTag(&$0, 322, [0, 0, 0, 0]) },
    Case("a TIFF of strips beyond its end", "fax.tif", "TIFF") { setTag(&$0, 273, [0xFF, 0xFF, 0xFF, 0x7F]) },
    Case("a JPEG in a TIFF with damaged data", "jpeg.tif", "cannot decode the TIFF") { bytes in
      let scan = find([0xFF, 0xDA], in: bytes)
      for index in scan + 30..<scan + 60 { bytes[index] = 0xFF }
    },
  ]

  @Test(arguments: cases) func isRefused(_ hostile: Case) throws {
    let bytes = try hostile.bytes()
    let message = failureMessage { _ = try EncodedImage(bytes, name: "folder/it").decoded() }
    #expect(message.hasPrefix("folder/it: ") && message.contains(hostile.says), "\(message)")
  }

  /// Checks that any truncation or change gives an image or a failure, and nothing else.
  @Test(arguments: [
    "420.jpg", "progressive.jpg", "cmyk.jpg", "orientation-6.jpg", "rgba-interlaced.png", "palette4-transparent.png",
    "told-raw-profile.png", "told-xmp-compressed.png", "lossless-alpha.webp", "lossy.webp", "moving-part.webp",
    "on-a-clear-screen.gif",
    "interlaced.gif", "runs8.bmp", "palette4.bmp", "16.bmp", "lzw.tif", "rgb-plane-tiles.tif", "fax.tif", "jpeg-ycbcr.tif",
    "palette4.tif",
  ])
  func anyDamage(_ name: String) throws {
    let (bytes, limits) = (try Fixtures.bytes(name), ImageLimits(side: 4096, pixels: 1 << 20))
    var refused = 0
    func attempt(_ bytes: [UInt8]) {
      do {
        let image = try EncodedImage(bytes, name: name, limits: limits)
        _ = try image.decoded(reduction: image.reduction(keeping: (1, 1)))
      } catch { refused += 1 }
    }
    let whole = try EncodedImage(bytes, name: name, limits: limits).decoded()
    for count in stride(from: 0, to: bytes.count, by: 7) {
      // If a truncated file can be decoded, the result is the whole image.
      do {
        #expect(try EncodedImage(Array(bytes.prefix(count)), name: name, limits: limits).decoded() == whole, "\(count) bytes")
      } catch { refused += 1 }
    }
    #expect(refused > bytes.count / 14)
    for index in stride(from: 0, to: bytes.count, by: 3) {
      for change: UInt8 in [0x01, 0x80, 0xFF] {
        var changed = bytes
        changed[index] ^= change
        attempt(changed)
      }
    }
    #expect(refused > 0)
  }

  @Test func limits() throws {
    let bytes = try Fixtures.bytes("444.jpg")
    for limits in [ImageLimits(side: 34), ImageLimits(pixels: 27 * 35 - 1)] {
      #expect(failureMessage { _ = try EncodedImage(bytes, name: "it", limits: limits) }.contains("27×35 pixels, over the bound"))
    }
    _ = try EncodedImage(bytes, name: "it", limits: ImageLimits(side: 35, pixels: 27 * 35)).decoded()
    let path = Fixtures.path("444.jpg")
    let message = failureMessage { _ = try EncodedImage(contentsOf: path, limits: ImageLimits(byteCount: bytes.count - 1)) }
    #expect(message.hasPrefix("\(path): \(bytes.count) bytes, over the bound"))
  }

  @Test func unreadableFiles() throws {
    try withTemporaryFolder { folder in
      #expect(failureMessage { _ = try EncodedImage(contentsOf: folder + "/a.jpg") }.contains("cannot open \(folder)/a.jpg"))
      #expect(failureMessage { _ = try EncodedImage(contentsOf: folder) }.contains("it is a folder"))
    }
  }

  private static func find(_ pattern: [UInt8], in bytes: [UInt8]) -> Int {
    (0...bytes.count - pattern.count).first { bytes[$0..<$0 + pattern.count].elementsEqual(pattern) } ?? bytes.count
  }

  private static func setJPEGSize(_ bytes: inout [UInt8], _ height: Int, _ width: Int) {
    let frame = find([0xFF, 0xC0], in: bytes)
    for (offset, value) in [height >> 8, height, width >> 8, width].enumerated() {
      bytes[frame + 5 + offset] = UInt8(truncatingIfNeeded: value)
    }
  }

  /// Changes the value of a tag, and its type, in the directory of a little-endian TIFF.
  private static func setTag(_ bytes: inout [UInt8], _ tag: Int, _ value: [UInt8], type: UInt8? = nil) {
    func read(_ offset: Int, _ count: Int) -> Int { bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) } }
    let directory = read(4, 4)
    for entry in stride(from: directory + 2, to: directory + 2 + 12 * read(directory, 2), by: 12) where read(entry, 2) == tag {
      bytes.replaceSubrange(entry + 8..<entry + 12, with: value)
      if let type { bytes[entry + 2] = type }
    }
  }

  /// Changes a PNG's header, and updates its checksum.
  private static func changeHeader(_ bytes: inout [UInt8], _ offset: Int, _ values: [UInt8]) {
    bytes.replaceSubrange(16 + offset..<16 + offset + values.count, with: values)
    bytes.replaceSubrange(8..<33, with: chunk("IHDR", Array(bytes[16..<29])))
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    big(data.count) + Array(type.utf8) + data + big(crc32(Array(type.utf8) + data))
  }
}
