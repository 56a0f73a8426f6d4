import Images
import Testing

@Suite struct ResizeTests {
  /// Names of the form `resize H W top left bottom right` or `bicubic H W top left bottom right`.
  static let cases = Fixtures.expected.keys.filter { $0.hasPrefix("resize ") || $0.hasPrefix("bicubic ") }.sorted()

  @Test(arguments: cases) func asPillow(_ name: String) throws {
    let numbers = name.split(separator: " ").dropFirst().compactMap { Float($0) }
    let box = SourceBox(top: numbers[2], left: numbers[3], bottom: numbers[4], right: numbers[5])
    let source = try EncodedImage(contentsOf: Fixtures.path("photo.png")).decoded()
    let interpolation: Interpolation = name.hasPrefix("bicubic") ? .bicubic : .bilinear
    let result = source.resized(height: Int(numbers[0]), width: Int(numbers[1]), from: box, interpolation)
    #expect(result == (try Fixtures.image(name)))
  }

  @Test func cropThenResize() throws {
    let source = try EncodedImage(contentsOf: Fixtures.path("photo.png")).decoded()
    let crop = source.cropped(to: PixelArea(top: 3, left: 5, height: 37, width: 28))
    #expect(crop.resized(height: 16, width: 16) == (try Fixtures.image("crop then resize")))
  }

  /// Checks realistic sizes by checksum.
  @Test(arguments: [("checksums", Interpolation.bilinear), ("checksums bicubic", .bicubic)])
  func largeImages(_ name: String, _ interpolation: Interpolation) throws {
    let cases: [(Int, Int, Int, Int, SourceBox)] = [
      (375, 500, 256, 341, SourceBox(top: 0, left: 0, bottom: 375, right: 500)),
      (375, 500, 224, 224, SourceBox(top: 17, left: 33, bottom: 300, right: 401)),
      (500, 333, 224, 224, SourceBox(top: 0.5, left: 10.25, bottom: 499.75, right: 300)),
      (1200, 1600, 96, 61, SourceBox(top: 0, left: 0, bottom: 1200, right: 1600)),
      (40, 30, 224, 224, SourceBox(top: 3, left: 4, bottom: 39, right: 29)),
      (3000, 2, 1, 1, SourceBox(top: 0, left: 0, bottom: 3000, right: 2)),
    ]
    let expected = try #require(Fixtures.expected[name]).elements(as: Int64.self)
    for ((height, width, rows, columns, box), sum) in zip(cases, expected) {
      let result = computedImage(height, width).resized(height: rows, width: columns, from: box, interpolation)
      #expect(crc32(result.pixels) == Int(sum), "\(height)×\(width) to \(rows)×\(columns)")
    }
  }

  @Test func flip() throws {
    let image = RGBImage(height: 2, width: 3, pixels: (0..<18).map { $0 })
    #expect(image.flipped().pixels == [6, 7, 8, 3, 4, 5, 0, 1, 2, 15, 16, 17, 12, 13, 14, 9, 10, 11])
    #expect(image.flipped().flipped() == image)
  }
}
