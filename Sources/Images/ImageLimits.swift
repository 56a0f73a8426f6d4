/// What a file may ask for before it is refused: a few bytes can announce an image of gigabytes.
public struct ImageLimits: Hashable, Sendable {
  /// Pixels along either side.
  public var side: Int
  /// Pixels in all, which take three bytes each, and while they are decoded up to six more; of a JPEG in CMYK twelve: of that only half
  /// as many are allowed.
  public var pixels: Int
  /// Bytes of the file.
  public var byteCount: Int

  /// The defaults take every photograph that is not made to harm: 65,536 pixels along a side, 134 million in all, 268 MB.
  public init(side: Int = 1 << 16, pixels: Int = 1 << 27, byteCount: Int = 1 << 28) {
    self.side = side
    self.pixels = pixels
    self.byteCount = byteCount
  }
}
