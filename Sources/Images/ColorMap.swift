/// Colors for values from 0 to 1, in which equal steps of the value look like equal steps of color, also in gray and to people
/// who confuse colors.
///
/// The colors are those of matplotlib's maps of the same names (van der Walt and Smith 2015, released under CC0), at ten values
/// with equal distances; between them they are interpolated.
///
/// ```swift
/// let color = ColorMap.inferno[0.5]
/// print(color.red, color.green, color.blue)
/// ```
public struct ColorMap: Sendable, Hashable {
  /// Red, green and blue.
  public struct Color: Sendable, Hashable {
    /// Parts of the color, 0 to 255.
    public let red, green, blue: UInt8

    /// Text for HTML and SVG, for example `#440154`.
    public var hex: String {
      "#" + [red, green, blue].map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
  }

  /// Colors as 0xRRGGBB.
  private let stops: [UInt32]

  /// From black through red to pale yellow.
  public static let inferno = ColorMap(stops: [
    0x000004, 0x1B0C41, 0x4A0C6B, 0x781C6D, 0xA52C60, 0xCF4446, 0xED6925, 0xFB9B06, 0xF7D13D, 0xFCFFA4,
  ])

  /// From violet through green to yellow.
  public static let viridis = ColorMap(stops: [
    0x440154, 0x482878, 0x3E4989, 0x31688E, 0x26828E, 0x1F9E89, 0x35B779, 0x6ECE58, 0xB5DE2B, 0xFDE725,
  ])

  /// Color of a value; values beyond 0 and 1, and what is no number, count as the nearest end.
  public subscript(value: Double) -> Color {
    let place = (value > 0 ? min(value, 1) : 0) * Double(stops.count - 1)
    let index = min(Int(place), stops.count - 2)
    let share = place - Double(index)
    func part(_ shift: UInt32) -> UInt8 {
      let (a, b) = (Double(stops[index] >> shift & 0xFF), Double(stops[index + 1] >> shift & 0xFF))
      return UInt8((a + (b - a) * share).rounded())
    }
    return Color(red: part(16), green: part(8), blue: part(0))
  }
}
