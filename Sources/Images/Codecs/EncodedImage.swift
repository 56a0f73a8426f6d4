import Formats
import Support

/// Image file in memory. Its header has been read, but its pixels are not decoded yet.
///
/// The format is recognized by the first bytes, whatever the file is called: JPEG (baseline and progressive; gray, RGB,
/// YCbCr, CMYK, YCCK), PNG (every color type and depth, interlaced or not), WebP, GIF, BMP or TIFF. If a file holds several
/// pictures, the first one counts.
public struct EncodedImage: Sendable {
  /// Name of the image in messages: its path.
  public let name: String
  /// Size in pixels as displayed, after the EXIF orientation is applied.
  public let height, width: Int
  /// Orientation that is applied to the stored pixels before the image is displayed.
  public let orientation: Orientation

  enum Format {
    case jpeg, cmykJPEG, png, webP, gif, bmp, tiff

    var isJPEG: Bool { self == .jpeg || self == .cmykJPEG }
  }
  let format: Format
  let bytes: [UInt8]
  /// Size in pixels as stored.
  let storedHeight, storedWidth: Int

  /// Reads a file and its header.
  /// - Throws: a ``Failure`` that names the file and the reason: unreadable, of another format, damaged, over a limit.
  public init(contentsOf path: String, limits: ImageLimits = ImageLimits()) throws {
    try self.init(ImagePlace(file: path), limits: limits)
  }

  /// Reads an image wherever its bytes are, and its header.
  /// - Throws: a ``Failure`` as for a file.
  public init(_ place: ImagePlace, limits: ImageLimits = ImageLimits()) throws {
    try self.init(try place.read(atMost: limits.byteCount), name: place.path, limits: limits)
  }

  /// Reads the header of a file in memory.
  /// - Parameter name: name of the image in messages.
  /// - Throws: a ``Failure`` as for a file.
  public init(_ bytes: [UInt8], name: String, limits: ImageLimits = ImageLimits()) throws {
    guard !bytes.isEmpty else { throw Failure(.damagedFile, about: name, "empty") }
    let header = try Self.header(bytes, name)
    let (height, width) = (header.height, header.width)
    guard height > 0, width > 0 else {
      throw Failure(.damagedFile, about: name, "an image of \(height)×\(width) pixels has none")
    }
    let mostPixels = header.format == .cmykJPEG ? limits.pixels / 2 : limits.pixels
    guard height <= limits.side, width <= limits.side, height <= mostPixels / width else {
      throw Failure(
        .unsupported, about: name,
        "\(height)×\(width) pixels, over the bound of \(limits.side) along a side and \(mostPixels) in all")
    }
    self.name = name
    self.bytes = bytes
    format = header.format
    orientation = header.orientation
    (storedHeight, storedWidth) = (height, width)
    (self.height, self.width) = orientation.isTransposed ? (width, height) : (height, width)
  }

  private static func header(_ bytes: [UInt8], _ name: String) throws -> ImageHeader {
    if bytes.starts(with: JPEG.magic) { return try JPEG.header(bytes, name) }
    if bytes.starts(with: PNG.magic) { return try PNG.header(bytes, name) }
    if WebP.isWebP(bytes) { return try WebP.header(bytes, name) }
    if GIF.magics.contains(where: bytes.starts) { return try GIF.header(bytes, name) }
    if TIFF.magics.contains(where: bytes.starts) { return try TIFF.header(bytes, name) }
    if BMP.isBMP(bytes) { return try BMP.header(bytes, name) }
    let kind = FileKind(start: Array(bytes.prefix(512))).map { ": this is \($0.told(where: .image))" }
    throw Failure(
      .damagedFile, about: name,
      "not an image in a format that is read here (JPEG, PNG, WebP, GIF, BMP, TIFF)\(kind ?? "")")
  }

  /// Decodes the whole image and applies its EXIF orientation.
  ///
  /// The stored colors become RGB as in Pillow's `convert("RGB")`: CMYK is converted by its formula, with Adobe's inverted
  /// values. Transparency is dropped, not blended. Colors that a TIFF stores multiplied by alpha are divided by it again.
  /// Color profiles and gamma are not applied. Of 16 bits the upper eight are kept, also for gray, where Pillow makes all
  /// values from 256 on white.
  /// - Parameter reduction: divisor of both sides, rounded up, as returned by ``reduction(keeping:)``. Reduced decoding is
  ///   much faster for large photographs. A pixel is the mean of `reduction`² stored pixels. In the last stored row and
  ///   column, it is the mean of the pixels that exist.
  /// - Throws: a ``Failure`` that names the image if its data are damaged, even if a part could be decoded.
  /// - Precondition: `reduction` is 1, or the image is a JPEG and it is 2, 4 or 8.
  public func decoded(reduction: Int = 1) throws -> RGBImage {
    precondition(reduction == 1 || (format.isJPEG && [2, 4, 8].contains(reduction)), "[decoded] reduced by \(reduction)")
    let stored =
      switch format {
      case .jpeg, .cmykJPEG: try JPEG.decode(self, reduction: reduction)
      case .png: try PNG.decode(self)
      case .webP: try WebP.decode(self)
      case .gif: try GIF.decode(self)
      case .bmp: try BMP.decode(self)
      case .tiff: try TIFF.decode(self)
      }
    return orientation.applied(to: stored)
  }

  /// Returns the largest of 1, 2, 4 and 8 by which both sides of a JPEG can be divided, rounded up, without falling below a
  /// size; 1 for other formats.
  public func reduction(keeping minimum: (height: Int, width: Int)) -> Int {
    guard format.isJPEG else { return 1 }
    return [8, 4, 2].first { (height + $0 - 1) / $0 >= minimum.height && (width + $0 - 1) / $0 >= minimum.width } ?? 1
  }
}

/// Properties of an image that are known before it is decoded.
struct ImageHeader {
  let format: EncodedImage.Format
  /// Size in pixels as stored.
  let height, width: Int
  let orientation: Orientation
}
