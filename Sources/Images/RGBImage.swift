/// Image in ordinary memory: uint8 [H,W,3], red, green, blue.
///
/// ```swift
/// let red = RGBImage(height: 32, width: 32, pixels: (0..<32 * 32).flatMap { _ in [220, 30, 40] as [UInt8] })
/// try red.writePNG(to: "red.png")
/// ```
public struct RGBImage: Sendable, Hashable {
  /// Size in pixels, at least 1.
  public let height, width: Int
  /// Pixels [height, width, 3].
  public var pixels: [UInt8]

  /// - Precondition: `pixels` holds height·width·3 values.
  public init(height: Int, width: Int, pixels: [UInt8]) {
    precondition(
      height > 0 && width > 0 && pixels.count == height * width * 3, "[RGBImage] \(pixels.count) bytes for \(height)×\(width)")
    self.height = height
    self.width = width
    self.pixels = pixels
  }

  /// - Parameter fill: writes all height·width·3 values.
  init(height: Int, width: Int, fill: (UnsafeMutableBufferPointer<UInt8>) throws -> Void) rethrows {
    let count = height * width * 3
    let pixels = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      try fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      filled = count
    }
    self.init(height: height, width: width, pixels: pixels)
  }

  /// Returns the pixels of a rectangle.
  /// - Precondition: the rectangle lies within the image and is not empty.
  public func cropped(to area: PixelArea) -> RGBImage {
    precondition(area.fits(height: height, width: width), "[RGBImage] \(area) of \(height)×\(width)")
    return RGBImage(height: area.height, width: area.width) { target in
      pixels.withUnsafeBufferPointer { source in
        for h in 0..<area.height {
          let row = source[((area.top + h) * width + area.left) * 3..<((area.top + h) * width + area.left + area.width) * 3]
          _ = UnsafeMutableBufferPointer(rebasing: target[(h * area.width * 3)...]).update(fromContentsOf: row)
        }
      }
    }
  }

  /// Returns the image mirrored left to right.
  public func flipped() -> RGBImage {
    var image = self
    image.pixels.withUnsafeMutableBufferPointer { flipRows($0, width: width) }
    return image
  }
}

/// Rectangle of whole pixels.
public struct PixelArea: Hashable, Sendable {
  /// Position of the upper left corner, counted from that of the image.
  public var top, left: Int
  /// Size in pixels.
  public var height, width: Int

  /// Creates a rectangle from values in pixels. They are not checked, as the image is not known here.
  public init(top: Int, left: Int, height: Int, width: Int) {
    self.top = top
    self.left = left
    self.height = height
    self.width = width
  }

  func fits(height imageHeight: Int, width imageWidth: Int) -> Bool {
    top >= 0 && left >= 0 && height > 0 && width > 0 && height <= imageHeight - top && width <= imageWidth - left
  }
}

/// Mirrors each row of pixels [·,width,3] left to right, in place.
func flipRows(_ pixels: UnsafeMutableBufferPointer<UInt8>, width: Int) {
  for row in stride(from: 0, to: pixels.count, by: width * 3) {
    var (left, right) = (row, row + (width - 1) * 3)
    while left < right {
      for channel in 0..<3 { pixels.swapAt(left + channel, right + channel) }
      left += 3
      right -= 3
    }
  }
}
