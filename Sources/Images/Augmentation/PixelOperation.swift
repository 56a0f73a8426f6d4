/// Operation on the pixels of an image, with its strength. The result is byte for byte that of torchvision on Pillow images.
///
/// A gray image with three equal channels stays gray, and its result is that of Pillow for mode L.
public enum PixelOperation: Hashable, Sendable {
  case identity
  /// Shears by this many pixels for each row, or for each column.
  case shearX(Double)
  case shearY(Double)
  /// Translates by this many pixels.
  case translateX(Int)
  case translateY(Int)
  /// Rotates by degrees, counterclockwise, around the center.
  case rotate(Double)
  /// Scales the brightness. A factor of 0 makes the image black, 1 leaves it unchanged, and a larger one exaggerates.
  case brightness(Double)
  /// Scales the contrast. A factor of 0 makes all pixels the mean gray.
  case contrast(Double)
  /// Scales the saturation. A factor of 0 makes each pixel gray.
  case saturation(Double)
  /// Scales the sharpness. A factor of 0 blurs the image.
  case sharpness(Double)
  /// Rotates the hue by this many turns, −0.5 … 0.5.
  case hue(Double)
  /// Keeps this many of a value's 8 bits.
  case posterize(Int)
  /// Inverts the values from this one on.
  case solarize(Double)
  /// Stretches each channel to 0 … 255, or to an even histogram.
  case autoContrast, equalize

  /// Changes pixels [height,width,3] in place. Geometric operations take the nearest pixel, and the pixels that they uncover
  /// are black.
  func apply(to pixels: UnsafeMutableBufferPointer<UInt8>, height: Int, width: Int) {
    let picture = Picture(pixels: pixels, height: height, width: width)
    switch self {
    case .identity: break
    case .shearX(let slope): picture.transform(AffineMap(slope: slope, 0))
    case .shearY(let slope): picture.transform(AffineMap(slope: 0, slope))
    case .translateX(let distance): picture.transform(AffineMap(translation: distance, 0))
    case .translateY(let distance): picture.transform(AffineMap(translation: 0, distance))
    case .rotate(let degrees): picture.transform(AffineMap(rotation: degrees, height: height, width: width))
    case .brightness(let factor): picture.mapValues { blend(0, $0, factor) }
    case .contrast(let factor):
      let mean = picture.meanGray
      picture.mapValues { blend(mean, $0, factor) }
    case .saturation(let factor): picture.saturate(factor)
    case .sharpness(let factor): picture.sharpen(factor)
    case .hue(let turns): picture.turnHue(turns)
    case .posterize(let bits): picture.mapValues { $0 & UInt8(truncatingIfNeeded: 0xFF << (8 - bits)) }
    case .solarize(let threshold): picture.mapValues { Double($0) < threshold ? $0 : 255 - $0 }
    case .autoContrast: picture.mapChannels(stretched)
    case .equalize: picture.mapChannels(equalized)
    }
  }
}

extension RGBImage {
  /// Returns the image after the operations, applied one after another.
  public func applying(_ operations: PixelOperation...) -> RGBImage {
    var image = self
    image.pixels.withUnsafeMutableBufferPointer { pixels in
      for operation in operations { operation.apply(to: pixels, height: height, width: width) }
    }
    return image
  }
}

/// Blends two bytes as Pillow does: the first at a factor of 0, the second at 1. The factor must be finite in float32.
func blend(_ first: UInt8, _ second: UInt8, _ factor: Double) -> UInt8 {
  let value = Float(first) + Float(factor) * Float(Int32(second) - Int32(first))
  return UInt8(max(0, min(255, value)))
}

/// Pixels [height,width,3] that are changed in place.
struct Picture {
  let pixels: UnsafeMutableBufferPointer<UInt8>
  let height, width: Int

  /// Applies `map` to each value.
  func mapValues(_ map: (UInt8) -> UInt8) {
    let table = (0...255).map { map(UInt8($0)) }
    for index in pixels.indices { pixels[index] = table[Int(pixels[index])] }
  }

  /// Replaces each value by its entry in a table, which `table` makes from the channel's histogram. A channel without a table
  /// does not change.
  func mapChannels(_ table: (_ histogram: [Int]) -> [UInt8]?) {
    for channel in 0..<3 {
      var histogram = [Int](repeating: 0, count: 256)
      for index in stride(from: channel, to: pixels.count, by: 3) { histogram[Int(pixels[index])] += 1 }
      guard let table = table(histogram) else { continue }
      for index in stride(from: channel, to: pixels.count, by: 3) { pixels[index] = table[Int(pixels[index])] }
    }
  }

  /// Applies `map` to each pixel.
  func mapPixels(_ map: (SIMD3<UInt8>) -> SIMD3<UInt8>) {
    for index in stride(from: 0, to: pixels.count, by: 3) {
      let pixel = map(SIMD3(pixels[index], pixels[index + 1], pixels[index + 2]))
      for channel in 0..<3 { pixels[index + channel] = pixel[channel] }
    }
  }

  /// Mean luma of all pixels, rounded.
  var meanGray: UInt8 {
    var sum = 0
    for index in stride(from: 0, to: pixels.count, by: 3) {
      sum += Int(luma(SIMD3(pixels[index], pixels[index + 1], pixels[index + 2])))
    }
    return UInt8(Double(sum) / Double(height * width) + 0.5)
  }

  func saturate(_ factor: Double) {
    mapPixels { pixel in
      let gray = luma(pixel)
      return SIMD3(blend(gray, pixel.x, factor), blend(gray, pixel.y, factor), blend(gray, pixel.z, factor))
    }
  }

  /// Blends each pixel with the mean of 3×3 pixels, in which the middle one counts five times. The edge does not change.
  func sharpen(_ factor: Double) {
    guard height >= 3 && width >= 3 else { return }
    let (source, stride) = (Array(pixels), width * 3)
    for h in 1..<height - 1 {
      for index in h * stride + 3..<(h + 1) * stride - 3 {
        var sum = 4 * Int(source[index])
        for row in [index - stride, index, index + stride] {
          sum += Int(source[row - 3]) + Int(source[row]) + Int(source[row + 3])
        }
        pixels[index] = blend(UInt8((2 * sum + 13) / 26), source[index], factor)
      }
    }
  }

  func turnHue(_ turns: Double) {
    // The shift is truncated to a byte, which wraps around.
    let shift = UInt8(truncatingIfNeeded: Int(turns * 255))
    mapPixels { pixel in
      let (hue, saturation, value) = HSV.of(pixel)
      return HSV.rgb(hue &+ shift, saturation, value)
    }
  }

  func transform(_ map: AffineMap) {
    let source = Array(pixels)
    map.forEachRow(height: height) { row, begin in
      var at = begin
      for column in 0..<width {
        let (x, y) = (at.x >> AffineMap.fractionBits, at.y >> AffineMap.fractionBits)
        let inside = x >= 0 && x < width && y >= 0 && y < height
        let (from, to) = ((y * width + x) * 3, (row * width + column) * 3)
        for channel in 0..<3 { pixels[to + channel] = inside ? source[from + channel] : 0 }
        at = map.right(of: at)
      }
    }
  }
}
