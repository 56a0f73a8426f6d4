import Compute
import Formats

/// An image file in memory, its header read and its pixels not yet decoded.
///
/// JPEG (baseline and progressive; grey, RGB, YCbCr, CMYK, YCCK), PNG (every colour type and depth, interlaced or not), WebP, GIF, BMP
/// and TIFF are told apart by their first bytes, whatever the file is called. Of several pictures in a file the first counts.
public struct EncodedImage: Sendable {
  /// What messages call the image: its path.
  public let name: String
  /// In pixels, as it is looked at: after its EXIF orientation.
  public let height, width: Int
  /// How the stored pixels are turned before they are looked at.
  public let orientation: Orientation

  enum Format {
    case jpeg, cmykJPEG, png, webP, gif, bmp, tiff

    var isJPEG: Bool { self == .jpeg || self == .cmykJPEG }
  }
  let format: Format
  let bytes: [UInt8]
  /// In pixels, as it is stored.
  let storedHeight, storedWidth: Int

  /// Reads a file and its header.
  /// - Throws: a ``Failure`` that names the file and what is wrong: unreadable, of another format, damaged, over a limit.
  public init(contentsOf path: String, limits: ImageLimits = ImageLimits()) throws {
    let file = try InputFile(path)
    guard file.byteCount <= limits.byteCount else {
      throw Failure("\(path): \(file.byteCount) bytes, over the bound of \(limits.byteCount)")
    }
    try self.init(try file.read(), name: path, limits: limits)
  }

  /// - Parameter name: what messages call the image.
  /// - Throws: a ``Failure`` as for a file.
  public init(_ bytes: [UInt8], name: String, limits: ImageLimits = ImageLimits()) throws {
    guard !bytes.isEmpty else { throw Failure("\(name): empty") }
    let header = try Self.header(bytes, name)
    let (height, width) = (header.height, header.width)
    guard height > 0, width > 0 else { throw Failure("\(name): an image of \(height)×\(width) pixels has none") }
    let mostPixels = header.format == .cmykJPEG ? limits.pixels / 2 : limits.pixels
    guard height <= limits.side, width <= limits.side, height <= mostPixels / width else {
      throw Failure("\(name): \(height)×\(width) pixels, over the bound of \(limits.side) along a side and \(mostPixels) in all")
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
    throw Failure("\(name): not an image in a format that is read here (JPEG, PNG, WebP, GIF, BMP, TIFF)\(kind ?? "")")
  }

  /// The whole image, turned as its EXIF orientation says.
  ///
  /// The stored colours become RGB as Pillow's `convert("RGB")` makes them: CMYK by its formula, with Adobe's inverted values;
  /// transparency is dropped, not blended, and colours that a TIFF has multiplied by it are divided again; colour profiles and gamma are
  /// not applied. Of 16 bits the upper eight are kept, for grey too, where Pillow makes everything from 256 on white.
  /// - Parameter reduction: what ``reduction(keeping:)`` allows: both sides are divided by it and rounded up, much faster for large
  ///   photographs. A pixel is the mean of `reduction`² stored ones; in the last stored row and column, of those that there are.
  /// - Throws: a ``Failure`` that names the image, where its data are damaged, even if something could be decoded.
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

  /// The largest of 1, 2, 4 and 8 by which both sides of a JPEG can be divided, rounded up, without falling below a size; 1 for others.
  public func reduction(keeping minimum: (height: Int, width: Int)) -> Int {
    guard format.isJPEG else { return 1 }
    return [8, 4, 2].first { (height + $0 - 1) / $0 >= minimum.height && (width + $0 - 1) / $0 >= minimum.width } ?? 1
  }
}

/// What is known of an image before it is decoded.
struct ImageHeader {
  let format: EncodedImage.Format
  /// In pixels, as they are stored.
  let height, width: Int
  let orientation: Orientation
}
