import Images
import TestSupport
import Testing

@Suite struct DecodingTests {
  /// Checks that all formats are decoded and oriented as by Pillow, byte for byte.
  @Test(arguments: Fixtures.pictures) func asPillow(_ name: String) throws {
    let expected = try Fixtures.image(name)
    let encoded = try EncodedImage(contentsOf: Fixtures.path(name))
    #expect(encoded.height == expected.height && encoded.width == expected.width)
    #expect(difference(try encoded.decoded(), expected) == 0)
  }

  @Test func orientations() throws {
    for orientation in Orientation.allCases {
      let encoded = try EncodedImage(contentsOf: Fixtures.path("orientation-\(orientation.rawValue).jpg"))
      #expect(encoded.orientation == orientation)
    }
    #expect(try EncodedImage(contentsOf: Fixtures.path("rgb-orientation-6.png")).orientation == .rightTop)
  }

  /// Checks that sides are divided by the largest of 1, 2, 4, 8 that keeps the minimum.
  @Test(arguments: [
    ("444.jpg", 27, 35, 27, 35), ("444.jpg", 14, 18, 14, 18), ("444.jpg", 15, 18, 27, 35), ("444.jpg", 5, 9, 7, 9),
    ("444.jpg", 1, 1, 4, 5), ("cmyk.jpg", 7, 9, 7, 9), ("gray.jpg", 10, 10, 14, 18), ("progressive.jpg", 4, 5, 4, 5),
    ("orientation-6.jpg", 9, 6, 9, 6), ("orientation-6.jpg", 6, 6, 9, 6), ("orientation-6.jpg", 9, 7, 18, 11),
    ("rgb.png", 1, 1, 19, 23),
  ]) func reducedScale(_ name: String, minimumHeight: Int, minimumWidth: Int, height: Int, width: Int) throws {
    let encoded = try EncodedImage(contentsOf: Fixtures.path(name))
    let reduced = try encoded.decoded(reduction: encoded.reduction(keeping: (minimumHeight, minimumWidth)))
    #expect(reduced.height == height && reduced.width == width)
    // The result is close to that of averaging, except for noise and edges.
    let averaged = try encoded.decoded().resized(height: height, width: width)
    let errors = zip(reduced.pixels, averaged.pixels).map { abs(Double($0) - Double($1)) }
    #expect(errors.reduce(0, +) / Double(errors.count) < 22)
  }

  /// Checks deviations from the standard that cameras and editors write and that every program reads.
  @Test func harmlessFaultsAreForgiven() throws {
    let (bytes, expected) = (try Fixtures.bytes("444.jpg"), try Fixtures.image("444.jpg"))
    func place(_ pattern: [UInt8]) throws -> Int {
      try #require(bytes.indices.first { bytes[$0...].starts(with: pattern) })
    }
    let (header, scan) = (try place(Array("JFIF\0".utf8)), try place([0xFF, 0xDA]))
    let components = Int(bytes[scan + 4])
    let faults: [(String, (inout [UInt8]) -> Void)] = [
      ("a revision of the format to come", { $0[header + 5] = 2 }),
      ("the last coefficient of a sequential scan as 0", { $0[scan + 6 + 2 * components] = 0 }),
      ("bytes behind the data", { $0.insert(contentsOf: [1, 2, 3, 4, 5, 6, 7, 8], at: $0.count - 2) }),
    ]
    for (name, change) in faults {
      var changed = bytes
      change(&changed)
      let decoded = try EncodedImage(changed, name: name).decoded()
      #expect(changed != bytes && difference(decoded, expected) == 0, "\(name)")
    }
    // These deviations are not forgiven together with other damage.
    var damaged = bytes
    for (_, change) in faults { change(&damaged) }
    damaged.removeLast(damaged.count / 4)
    #expect(failureMessage { _ = try EncodedImage(damaged, name: "it").decoded() }.hasPrefix("it: corrupt JPEG"))
  }

  /// Checks that data after the pixels may be missing: the end of a PNG and its checksum, the end of a GIF's blocks.
  @Test(arguments: [
    ("rgb.png", 12), ("rgb.png", 16), ("rgba-interlaced.png", 16), ("gray1.png", 12), ("one-pixel.png", 14),
    ("palette.gif", 1), ("interlaced.gif", 2),
  ]) func whatEndsBehindItsPixelsIsWhole(_ name: String, missing: Int) throws {
    let bytes = try Fixtures.bytes(name)
    let decoded = try EncodedImage(Array(bytes.dropLast(missing)), name: name).decoded()
    #expect(decoded == (try Fixtures.image(name)))
    let damaged = Array(bytes.dropLast(missing + 12))
    _ = failureMessage { _ = try EncodedImage(damaged, name: name).decoded() }
  }

  @Test func extensionsAreHints() throws {
    try withTemporaryFolder { folder in
      try write(try Fixtures.bytes("rgb.png"), to: folder + "/a.jpg")
      #expect(try EncodedImage(contentsOf: folder + "/a.jpg").decoded() == (try Fixtures.image("rgb.png")))
    }
  }
}
