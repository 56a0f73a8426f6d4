/// Limits above which a file is refused. They are needed because a few bytes can announce an image of gigabytes.
public struct ImageLimits: Hashable, Sendable {
  /// Maximum number of pixels along either side.
  public var side: Int
  /// Maximum number of pixels in total. Each takes three bytes, and up to six more while it is decoded. A pixel of a CMYK
  /// JPEG takes up to twelve more, so only half as many are allowed there.
  public var pixels: Int
  /// Maximum size of the file in bytes.
  public var byteCount: Int

  /// Creates limits. The defaults accept every photograph that is not made to harm: 65,536 pixels along a side, 134 million
  /// pixels in total, 268 MB.
  public init(side: Int = 1 << 16, pixels: Int = 1 << 27, byteCount: Int = 1 << 28) {
    self.side = side
    self.pixels = pixels
    self.byteCount = byteCount
  }
}
