import Images
import Testing

/// Files that are not what they seem: each is refused by one line that names it.
@Suite struct HostileTests {
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let bytes: @Sendable () throws -> [UInt8]
    /// What the message says.
    let says: String
    var testDescription: String { name }

    init(_ name: String, _ says: String, _ bytes: @escaping @Sendable () throws -> [UInt8]) {
      (self.name, self.says, self.bytes) = (name, says, bytes)
    }

    /// A fixture with something done to it.
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
    Case("one byte", "neither") { [0xFF] },
    Case("text", "it looks like text") { Array("<!DOCTYPE html>".utf8) },
    Case("a GIF", "it looks like GIF") { Array("GIF89a\u{1}\0\u{1}\0".utf8) },
    Case("zeros", "neither a JPEG nor a PNG") { [UInt8](repeating: 0, count: 100) },

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
    Case("a JPEG without quantisation tables", "444.jpg", "corrupt JPEG") { bytes in
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
    Case("a PNG without its end", "rgb.png", "ends early") { $0.removeLast(12) },
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
    Case("a PNG of an unknown colour type", "rgb.png", "corrupt PNG") { changeHeader(&$0, 9, [5]) },
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
  ]

  @Test(arguments: cases) func isRefused(_ hostile: Case) throws {
    let bytes = try hostile.bytes()
    let message = failureMessage { _ = try EncodedImage(bytes, name: "folder/it").decoded() }
    #expect(message.hasPrefix("folder/it: ") && message.contains(hostile.says), "\(message)")
  }

  /// Whatever is cut off or changed, there is an image or a failure, and nothing else.
  @Test(arguments: [
    "420.jpg", "progressive.jpg", "cmyk.jpg", "orientation-6.jpg", "rgba-interlaced.png", "palette4-transparent.png",
  ])
  func anyDamage(_ name: String) throws {
    let bytes = try Fixtures.bytes(name)
    var refused = 0
    func attempt(_ bytes: [UInt8]) {
      let limits = ImageLimits(side: 4096, pixels: 1 << 20)
      do {
        let image = try EncodedImage(bytes, name: name, limits: limits)
        _ = try image.decoded(reduction: image.reduction(keeping: (1, 1)))
      } catch { refused += 1 }
    }
    for count in stride(from: 0, to: bytes.count, by: 7) { attempt(Array(bytes.prefix(count))) }
    #expect(refused == (bytes.count + 6) / 7)
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

  /// Changes a PNG's header, and its checksum to match.
  private static func changeHeader(_ bytes: inout [UInt8], _ offset: Int, _ values: [UInt8]) {
    bytes.replaceSubrange(16 + offset..<16 + offset + values.count, with: values)
    bytes.replaceSubrange(8..<33, with: chunk("IHDR", Array(bytes[16..<29])))
  }

  private static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    func big(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
    return big(data.count) + Array(type.utf8) + data + big(crc32(Array(type.utf8) + data))
  }
}
