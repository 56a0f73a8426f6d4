/// Orientation of the camera, EXIF's tag 0x0112. The cases name the displayed sides of the first stored row and the first
/// stored column.
public enum Orientation: Int, CaseIterable, Sendable {
  case topLeft = 1
  case topRight, bottomRight, bottomLeft, leftTop, rightTop, rightBottom, leftBottom

  /// Reads the orientation of a file, as Pillow's `exif_transpose` does: XMP counts if the EXIF data have no such tag.
  /// - Parameters:
  ///   - exif: the EXIF data; nil if there are none.
  ///   - xmp: the XMP packet; nil if there is none.
  init(exif: ArraySlice<UInt8>?, xmp: ArraySlice<UInt8>?) {
    self = Orientation(rawValue: exif.flatMap(EXIF.orientation) ?? xmp.flatMap(XMP.orientation) ?? 1) ?? .topLeft
  }

  /// Whether rows become columns.
  public var isTransposed: Bool { rawValue >= 5 }

  /// Whether the first displayed row is the last stored row, or the last stored column if columns become rows.
  public var mirrorsRows: Bool { [.bottomRight, .bottomLeft, .rightBottom, .leftBottom].contains(self) }

  /// Whether the first displayed column is the last stored column, or the last stored row if rows become columns.
  public var mirrorsColumns: Bool { [.topRight, .bottomRight, .rightTop, .rightBottom].contains(self) }

  /// Returns the image as it is displayed.
  public func applied(to image: RGBImage) -> RGBImage {
    if self == .topLeft { return image }
    let (height, width) = (image.height, image.width)
    // The pixel of stored row h and column w goes to position first + h·down + w·right, in pixels.
    let (rows, columns) = isTransposed ? (width, height) : (height, width)
    let (first, down, right) =
      switch self {
      case .topLeft: (0, columns, 1)
      case .topRight: (columns - 1, columns, -1)
      case .bottomRight: (rows * columns - 1, -columns, -1)
      case .bottomLeft: ((rows - 1) * columns, -columns, 1)
      case .leftTop: (0, 1, columns)
      case .rightTop: (columns - 1, -1, columns)
      case .rightBottom: (rows * columns - 1, -1, -columns)
      case .leftBottom: ((rows - 1) * columns, 1, -columns)
      }
    return RGBImage(height: rows, width: columns) { target in
      image.pixels.withUnsafeBufferPointer { source in
        for h in 0..<height {
          for w in 0..<width {
            let (from, to) = ((h * width + w) * 3, (first + h * down + w * right) * 3)
            for channel in 0..<3 { target[to + channel] = source[from + channel] }
          }
        }
      }
    }
  }
}
