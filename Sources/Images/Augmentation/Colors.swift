/// Returns the luma of ITU-R BT.601, rounded as in Pillow.
func luma(_ pixel: SIMD3<UInt8>) -> UInt8 {
  let sum = Int32(pixel.x) * 19595 + Int32(pixel.y) * 38470 + Int32(pixel.z) * 7471
  return UInt8(truncatingIfNeeded: (sum + 0x8000) >> 16)
}

/// Conversions to and from hue, saturation and value in bytes, rounded as in Pillow.
enum HSV {
  static func of(_ pixel: SIMD3<UInt8>) -> (hue: UInt8, saturation: UInt8, value: UInt8) {
    let (largest, smallest) = (max(pixel.x, pixel.y, pixel.z), min(pixel.x, pixel.y, pixel.z))
    guard largest > smallest else { return (0, 0, largest) }
    let range = Float(largest - smallest)
    let saturation = range / Float(largest)
    let (r, g, b) = (
      Float(largest - pixel.x) / range, Float(largest - pixel.y) / range, Float(largest - pixel.z) / range
    )
    let sixths =
      if pixel.x == largest { b - g } else if pixel.y == largest { Float(2.0 + Double(r) - Double(b)) } else {
        Float(4.0 + Double(g) - Double(r))
      }
    // The hue lies between −1/6 and 5/6 of a turn and is moved to 0 … 1.
    let positive = Double(sixths) / 6 + 1
    let turns = Float(positive >= 1 ? positive - 1 : positive)
    return (UInt8(Double(turns) * 255), UInt8(Double(saturation) * 255), largest)
  }

  static func rgb(_ hue: UInt8, _ saturation: UInt8, _ value: UInt8) -> SIMD3<UInt8> {
    guard saturation > 0 else { return SIMD3(repeating: value) }
    let sixths = Double(Float(hue)) * 6 / 255
    let sector = Int32(sixths)
    let f = Double(Float(sixths - Double(sector)))
    let s = Double(Float(Double(Float(saturation)) / 255))
    // Rounds to the nearest integer, halves up.
    func scaled(_ share: Double) -> UInt8 {
      let product = Double(value) * share
      let whole = Int32(product)
      return UInt8(truncatingIfNeeded: whole + (product - Double(whole) >= 0.5 ? 1 : 0))
    }
    let (p, q, t) = (scaled(1 - s), scaled(1 - s * f), scaled(1 - s * (1 - f)))
    switch sector % 6 {
    case 0: return SIMD3(value, t, p)
    case 1: return SIMD3(q, value, p)
    case 2: return SIMD3(p, value, t)
    case 3: return SIMD3(p, q, value)
    case 4: return SIMD3(t, p, value)
    default: return SIMD3(value, p, q)
    }
  }
}

/// Returns the table that stretches a channel to 0 … 255, as Pillow's `autocontrast` does; nil if the channel has a single
/// value.
func stretched(_ histogram: [Int]) -> [UInt8]? {
  guard let low = histogram.firstIndex(where: { $0 > 0 }), let high = histogram.lastIndex(where: { $0 > 0 }), high > low
  else { return nil }
  let scale = 255 / Double(high - low)
  let offset = -Double(low) * scale
  return (0..<256).map { UInt8(max(0, min(255, (Double($0) * scale + offset)))) }
}

/// Returns the table that equalizes a channel's histogram, as Pillow's `equalize` does; nil if there is nothing to equalize.
func equalized(_ histogram: [Int]) -> [UInt8]? {
  guard histogram.count(where: { $0 > 0 }) > 1, let last = histogram.last(where: { $0 > 0 }) else { return nil }
  let step = (histogram.reduce(0, +) - last) / 255
  guard step > 0 else { return nil }
  var sum = step / 2
  return histogram.map { count in
    defer { sum += count }
    return UInt8(truncatingIfNeeded: min(255, sum / step))
  }
}
