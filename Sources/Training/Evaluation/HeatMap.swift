import Images

/// Values over the area of an image that show how much each place counts, [height,width], each 0 or more.
///
/// ```swift
/// let heat = HeatMap(height: 1, width: 2, values: [0, 3])
/// print(heat.resized(height: 2, width: 4).values)  // [0.0, 0.75, 2.25, 3.0, 0.0, 0.75, 2.25, 3.0]
/// ```
public struct HeatMap: Sendable, Hashable {
  /// Size of the map.
  public let height, width: Int
  /// Values, row by row.
  public let values: [Float]

  /// - Precondition: `values` holds height·width values, at least one.
  public init(height: Int, width: Int, values: [Float]) {
    precondition(height > 0 && width > 0 && values.count == height * width, "[HeatMap] \(values.count) of \(height)×\(width)")
    (self.height, self.width, self.values) = (height, width, values)
  }

  /// Value of a row and a column.
  public subscript(row: Int, column: Int) -> Float { values[row * width + column] }

  /// The map divided by its largest value; a map of zeros stays one.
  public var normalized: HeatMap {
    guard let largest = values.max(), largest > 0 else { return self }
    return HeatMap(height: height, width: width, values: values.map { $0 / largest })
  }

  /// Returns the map at another size, at least 1×1, by bilinear interpolation between the centers of the values. This is
  /// PyTorch's `interpolate` with `mode="bilinear"` and `align_corners=False`.
  public func resized(height newHeight: Int, width newWidth: Int) -> HeatMap {
    let (rows, columns) = (Self.places(newHeight, of: height), Self.places(newWidth, of: width))
    var result: [Float] = []
    result.reserveCapacity(newHeight * newWidth)
    for y in rows {
      for x in columns {
        let top = self[y.first, x.first] + (self[y.first, x.second] - self[y.first, x.first]) * x.share
        let bottom = self[y.second, x.first] + (self[y.second, x.second] - self[y.second, x.first]) * x.share
        result.append(top + (bottom - top) * y.share)
      }
    }
    return HeatMap(height: newHeight, width: newWidth, values: result)
  }

  /// Source values of each of `count` places along an axis of `source` values, and the share of the second one.
  private static func places(_ count: Int, of source: Int) -> [(first: Int, second: Int, share: Float)] {
    (0..<count).map { index in
      let center = max(0, (Float(index) + 0.5) * Float(source) / Float(count) - 0.5)
      let first = min(Int(center), source - 1)
      return (first, min(first + 1, source - 1), center - Float(first))
    }
  }

  /// Returns the image under the colors of the map, at the image's size. The largest value of the map has the brightest color.
  /// - Parameter opacity: share of the map's color in each pixel, 0 to 1.
  public func blended(over image: RGBImage, _ colors: ColorMap = .inferno, opacity: Double = 0.5) -> RGBImage {
    let heat = normalized.resized(height: image.height, width: image.width)
    var result = image
    for (pixel, value) in heat.values.enumerated() {
      let color = colors[Double(value)]
      for (channel, part) in [color.red, color.green, color.blue].enumerated() {
        let old = Double(image.pixels[pixel * 3 + channel])
        result.pixels[pixel * 3 + channel] = UInt8((old + (Double(part) - old) * opacity).rounded())
      }
    }
    return result
  }
}
