import Support

/// BMP files of Windows and OS/2 (Microsoft, "Bitmap Storage"). They are decoded here, because no maintained library in
/// Debian reads them without depending on a desktop. The format is only a header followed by plain or run-length coded rows.
///
/// Supported are palettes of 1, 4 and 8 bits, also run-length coded, and 16, 24 and 32 bits with any bit fields. Alpha is
/// dropped.
enum BMP {
  private static let magic = Array("BM".utf8)
  /// Number of bytes before the header that is read here: the magic, the file's size and the offset of the pixels.
  private static let fileHeader = 14
  /// Sizes in bytes of the headers of OS/2 and of all versions of Windows.
  private static let (oldHeader, headers) = (12, [12, 40, 52, 56, 64, 108, 124])

  private enum Compression: Int {
    case none, rle8, rle4, bitFields
  }

  static func isBMP(_ bytes: [UInt8]) -> Bool {
    bytes.starts(with: magic) && number(bytes, fileHeader, 4).map(headers.contains) ?? false
  }

  /// Reads the header.
  /// - Throws: a ``Failure`` if the header is damaged or of a kind that is not supported.
  static func header(_ bytes: [UInt8], _ name: String) throws -> ImageHeader {
    let layout = try Layout(bytes, name)
    return ImageHeader(format: .bmp, height: layout.height, width: layout.width, orientation: .topLeft)
  }

  static func decode(_ image: EncodedImage) throws -> RGBImage {
    let layout = try Layout(image.bytes, image.name)
    let (height, width) = (layout.height, layout.width)
    let indices =
      layout.compression == .rle8 || layout.compression == .rle4 ? try runs(image.bytes, layout, image.name) : nil
    if indices == nil { try layout.requireRows(of: image.bytes, image.name) }
    return RGBImage(height: height, width: width) { pixels in
      for row in 0..<height {
        var target = (layout.isTopDown ? row : height - 1 - row) * width * 3
        for column in 0..<width {
          let color: SIMD3<UInt8> =
            if let indices { layout.palette[Int(indices[row * width + column])] } else {
              layout.color(image.bytes, row: row, column: column)
            }
          (pixels[target], pixels[target + 1], pixels[target + 2]) = (color.x, color.y, color.z)
          target += 3
        }
      }
    }
  }

  /// Reads a little-endian number of `count` bytes; nil beyond the end of the file.
  private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int? {
    guard offset >= 0, offset <= bytes.count - count else { return nil }
    return bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// Decodes the values of a run-length coded image, [height,width], row by row in stored order. Values after an early end
  /// are 0.
  private static func runs(_ bytes: [UInt8], _ layout: Layout, _ name: String) throws -> [UInt8] {
    let (width, count, isHalf) = (layout.width, layout.height * layout.width, layout.compression == .rle4)
    var values = [UInt8](repeating: 0, count: count)
    var (place, next) = (layout.pixels, 0)
    func byte() throws -> UInt8 {
      guard place < bytes.count else { throw Failure(.damagedFile, about: name, "corrupt BMP, it ends within its pixels") }
      defer { place += 1 }
      return bytes[place]
    }
    while next < count {
      let (length, value) = (Int(try byte()), try byte())
      if length > 0 {
        // A run is cut off at the end of its row.
        for index in 0..<min(length, width - next % width) {
          values[next + index] = isHalf ? (index.isMultiple(of: 2) ? value >> 4 : value & 15) : value
        }
        next += min(length, width - next % width)
        continue
      }
      switch value {
      case 0: next = (next + width - 1) / width * width  // The end of a row.
      case 1: return values
      case 2:
        let (right, rows) = (Int(try byte()), Int(try byte()))
        next += right + rows * width
      default:
        let literals = min(Int(value), count - next)
        var pair: UInt8 = 0
        for index in 0..<literals {
          if !isHalf || index.isMultiple(of: 2) { pair = try byte() }
          values[next + index] = isHalf ? (index.isMultiple(of: 2) ? pair >> 4 : pair & 15) : pair
        }
        next += literals
        // Literal values are padded to an even offset.
        if !place.isMultiple(of: 2) { place += 1 }
      }
    }
    return values
  }

  /// Contents of the header.
  private struct Layout {
    let height, width: Int
    let isTopDown: Bool
    let bits: Int
    let compression: Compression
    /// Offset at which the pixels begin.
    let pixels: Int
    /// Colors of 256 values; black for those that the file lacks. Empty for more than 8 bits.
    let palette: [SIMD3<UInt8>]
    /// Bit fields of red, green and blue.
    let fields: [BitField]

    /// Number of bytes from one row to the next.
    private var stride: Int { (width * bits + 31) / 32 * 4 }

    init(_ bytes: [UInt8], _ name: String) throws {
      func damaged(_ what: Message) -> Failure { Failure(.damagedFile, about: name, "corrupt BMP, \(what)") }
      func read(_ offset: Int, _ count: Int) throws -> Int {
        guard let value = number(bytes, offset, count) else { throw damaged("it ends within its header") }
        return value
      }
      let begin = BMP.fileHeader
      let size = try read(begin, 4)
      let isOld = size == BMP.oldHeader
      width = try isOld ? read(begin + 4, 2) : read(begin + 4, 4)
      let rows = try isOld ? read(begin + 6, 2) : read(begin + 8, 4)
      // The height is a signed 32-bit number. It is negative if the top row comes first.
      isTopDown = !isOld && rows >= 1 << 31
      height = isTopDown ? 1 << 32 - rows : rows
      bits = try isOld ? read(begin + 10, 2) : read(begin + 14, 2)
      let code = try isOld ? 0 : read(begin + 16, 4)
      guard let compression = Compression(rawValue: code) else {
        throw Failure(.unsupported, about: name, "a BMP of compression \(code), which is not supported")
      }
      let isRight =
        switch compression {
        case .none: [1, 4, 8, 16, 24, 32].contains(bits)
        case .rle8: bits == 8
        case .rle4: bits == 4
        case .bitFields: [16, 24, 32].contains(bits)
        }
      guard isRight else { throw damaged("\(bits) bits a pixel do not go with compression \(code)") }
      self.compression = compression
      var end = begin + size
      var fields = BitField.usual(bits)
      if compression == .bitFields {
        // The masks are part of the header from its second version on. In the first version they follow it.
        let masks = try (0..<3).map { try read(begin + 40 + 4 * $0, 4) }
        if size == 40 { end += 12 }
        if masks != [0, 0, 0] {
          let found = masks.compactMap(BitField.init)
          let most = 1 << bits
          guard found.count == 3, masks.allSatisfy({ $0 < most }) else { throw damaged("its fields of bits make no sense") }
          fields = found
        }
      }
      self.fields = fields
      (palette, end) = Self.palette(bytes, at: end, bits: bits, count: isOld ? 0 : try read(begin + 32, 4), isOld: isOld)
      let told = try read(10, 4)
      // Some programs write 0 here, or the offset of the palette.
      pixels = told == 0 || (told == begin + size && bits <= 8) ? end : told
    }

    /// Reads the palette.
    /// - Returns: the colors, and the offset in the file at which they end.
    private static func palette(
      _ bytes: [UInt8], at begin: Int, bits: Int, count: Int, isOld: Bool
    ) -> ([SIMD3<UInt8>], Int) {
      guard bits <= 8 else { return ([], begin) }
      let (stored, entry) = (count == 0 ? 1 << bits : count, isOld ? 3 : 4)
      var colors = [SIMD3<UInt8>](repeating: SIMD3(), count: 256)
      for index in 0..<min(stored, 256) {
        let place = begin + index * entry
        guard place + 3 <= bytes.count else { break }
        colors[index] = SIMD3(bytes[place + 2], bytes[place + 1], bytes[place])
      }
      return (colors, begin + stored * entry)
    }

    /// Checks that all rows are there.
    /// - Throws: a ``Failure`` if the file ends before the last pixel.
    func requireRows(of bytes: [UInt8], _ name: String) throws {
      guard pixels + (height - 1) * stride + (width * bits + 7) / 8 <= bytes.count else {
        throw Failure(.damagedFile, about: name, "corrupt BMP, it ends within its pixels")
      }
    }

    /// Returns the color of a pixel in a stored row.
    func color(_ bytes: [UInt8], row: Int, column: Int) -> SIMD3<UInt8> {
      let begin = pixels + row * stride
      switch bits {
      case 1...8:
        let bit = column * bits
        return palette[Int(bytes[begin + bit / 8] >> (8 - bits - bit % 8)) & (1 << bits - 1)]
      case 24 where compression == .none:
        return SIMD3(bytes[begin + 3 * column + 2], bytes[begin + 3 * column + 1], bytes[begin + 3 * column])
      default:
        let place = begin + column * bits / 8
        var value = 0
        for byte in 0..<bits / 8 { value |= Int(bytes[place + byte]) << (8 * byte) }
        return SIMD3(fields[0].byte(value), fields[1].byte(value), fields[2].byte(value))
      }
    }
  }

  /// Adjacent bits of a pixel that hold one color.
  private struct BitField {
    private let shift, most: Int

    /// - Returns: nil if the mask has no bits, or bits that are not adjacent.
    init?(mask: Int) {
      guard mask > 0 else { return nil }
      shift = mask.trailingZeroBitCount
      most = mask >> shift
      if most & (most + 1) != 0 { return nil }
    }

    /// Returns the bit fields of pixels that have no masks of their own.
    static func usual(_ bits: Int) -> [BitField] {
      (bits == 16 ? [0x7C00, 0x3E0, 0x1F] : [0xFF0000, 0xFF00, 0xFF]).compactMap(BitField.init)
    }

    /// Returns the color in eight bits.
    func byte(_ value: Int) -> UInt8 { UInt8((value >> shift & most) * 255 / most) }
  }
}
