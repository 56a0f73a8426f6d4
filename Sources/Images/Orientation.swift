/// How a camera was held: EXIF's tag 0x0112, by where the first stored row and column belong.
public enum Orientation: Int, CaseIterable, Sendable {
  case topLeft = 1
  case topRight, bottomRight, bottomLeft, leftTop, rightTop, rightBottom, leftBottom

  /// Whether rows become columns.
  public var isTransposed: Bool { rawValue >= 5 }

  /// Whether the last stored row, or the last stored column where these become rows, is the first that is seen.
  public var mirrorsRows: Bool { [.bottomRight, .bottomLeft, .rightBottom, .leftBottom].contains(self) }

  /// Whether the last stored column, or the last stored row where these become columns, is the first that is seen.
  public var mirrorsColumns: Bool { [.topRight, .bottomRight, .rightTop, .rightBottom].contains(self) }

  /// The image as it is to be looked at.
  public func applied(to image: RGBImage) -> RGBImage {
    if self == .topLeft { return image }
    let (height, width) = (image.height, image.width)
    // Where the pixel of stored row h and column w goes: first + h·down + w·right, in pixels.
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

/// The orientation in EXIF data, a TIFF structure (TIFF 6.0, section 2).
enum EXIF {
  private static let orientationTag = 0x0112
  private static let shortType = 3

  /// - Parameter bytes: from the TIFF header on, `II` or `MM`.
  /// - Returns: nil where there is none, or none that makes sense: other EXIF data are often damaged, and the image whole.
  static func orientation(_ bytes: ArraySlice<UInt8>) -> Orientation? {
    let isLittle: Bool
    switch bytes.prefix(4) {
    case [0x49, 0x49, 42, 0]: isLittle = true
    case [0x4D, 0x4D, 0, 42]: isLittle = false
    default: return nil
    }
    func number(_ offset: Int, _ count: Int) -> Int? {
      guard offset <= bytes.count - count else { return nil }
      let part = bytes[(bytes.startIndex + offset)..<(bytes.startIndex + offset + count)]
      return isLittle ? part.reversed().reduce(0) { $0 << 8 | Int($1) } : part.reduce(0) { $0 << 8 | Int($1) }
    }
    guard let directory = number(4, 4), let count = number(directory, 2) else { return nil }
    for entry in 0..<count {
      let offset = directory + 2 + 12 * entry
      guard let tag = number(offset, 2), let type = number(offset + 2, 2), let value = number(offset + 8, 2) else { return nil }
      if tag == orientationTag { return type == shortType ? Orientation(rawValue: value) : nil }
    }
    return nil
  }
}
