/// Rectangle of an image, in pixels. Its edges may lie within a pixel.
public struct SourceBox: Hashable, Sendable {
  /// Edges, counted from the image's upper left corner.
  public var top, left, bottom, right: Float

  /// Creates a rectangle from its edges in pixels.
  public init(top: Float, left: Float, bottom: Float, right: Float) {
    self.top = top
    self.left = left
    self.bottom = bottom
    self.right = right
  }
}

extension RGBImage {
  /// Returns the image in another size, resampled by an antialiased filter. The result is byte for byte that of Pillow 13's
  /// `resize(…, BILINEAR, box)` or `BICUBIC`, and so that of torchvision's transforms on Pillow images. Earlier versions of
  /// Pillow differ by 1 if the height shrinks far more than the width.
  /// - Parameters:
  ///   - box: part of the image that becomes the whole result; nil for all of it. Pixels beside it take part where the filter
  ///     reaches them.
  ///   - window: part of the result that is wanted; nil for all of it.
  /// - Precondition: the sizes are positive, the box lies within the image and the window within the result, and neither is
  ///   empty.
  public func resized(
    height: Int, width: Int, from box: SourceBox? = nil, window: PixelArea? = nil, _ interpolation: Interpolation = .bilinear
  ) -> RGBImage {
    let result = Resampled(height: height, width: width, window: window, interpolation: interpolation)
    return RGBImage(height: result.window.height, width: result.window.width) { resize(area, box, result, into: $0) }
  }

  /// Resamples a rectangle of the image, as if there were nothing around it.
  /// - Parameters:
  ///   - box: part that becomes the whole result, counted from the corner of `area`; nil for all of it.
  ///   - target: destination [window.height, window.width, 3].
  func resize(_ area: PixelArea, _ box: SourceBox?, _ result: Resampled, into target: UnsafeMutableBufferPointer<UInt8>) {
    let box =
      box ?? SourceBox(top: 0, left: 0, bottom: Float(area.height), right: Float(area.width))
    precondition(
      area.fits(height: height, width: width) && box.top >= 0 && box.left >= 0 && box.bottom <= Float(area.height)
        && box.right <= Float(area.width) && box.top < box.bottom && box.left < box.right,
      "[resize] \(box) of \(area) of \(height)×\(width)")
    let window = result.window
    precondition(
      window.fits(height: result.height, width: result.width) && target.count == window.height * window.width * 3,
      "[resize] \(window) of \(result.height)×\(result.width) into \(target.count) bytes")
    let columns = ResamplingAxis(
      result.interpolation, sourceCount: area.width, begin: box.left, end: box.right, count: result.width,
      window: window.left..<window.left + window.width, reversed: result.isFlipped)
    let rows = ResamplingAxis(
      result.interpolation, sourceCount: area.height, begin: box.top, end: box.bottom, count: result.height,
      window: window.top..<window.top + window.height)
    pixels.withUnsafeBufferPointer { source in
      guard let bytes = source.baseAddress, let target = target.baseAddress else { return }
      let corner = Bytes(start: bytes + (area.top * width + area.left) * 3, stride: width * 3)
      let (down, across) = (rows.sourceRange, columns.sourceRange)
      // Values between the passes are rounded to bytes, so the order of the passes affects the last bit. It is the order of
      // Pillow 13.
      if area.height > result.height && area.height - result.height > 2 * (area.width - result.width) {
        let stride = across.count * 3
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: window.height * stride) { between in
          guard let between = between.baseAddress else { return }
          resampleColumns(corner.moved(row: 0, byte: across.lowerBound * 3), rows, width: stride, into: between)
          resampleRows(
            Bytes(start: UnsafePointer(between), stride: stride), rows: window.height, columns, into: target)
        }
      } else {
        let stride = window.width * 3
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: down.count * stride) { between in
          guard let between = between.baseAddress else { return }
          resampleRows(corner.moved(row: down.lowerBound, byte: across.lowerBound * 3), rows: down.count, columns, into: between)
          let first = Bytes(start: UnsafePointer(between), stride: stride).moved(row: -down.lowerBound, byte: 0)
          resampleColumns(first, rows, width: stride, into: target)
        }
      }
    }
  }
}

/// Rows of bytes.
private struct Bytes {
  let start: UnsafePointer<UInt8>
  /// Number of bytes from one row to the next.
  let stride: Int

  func moved(row: Int, byte: Int) -> Bytes { Bytes(start: start + row * stride + byte, stride: stride) }
}

/// Size of a resized image, and the part of it that is computed.
struct Resampled {
  /// Size of the whole result.
  let height, width: Int
  /// Part of the result that is wanted.
  let window: PixelArea
  /// Whether the part is mirrored left to right.
  let isFlipped: Bool
  let interpolation: Interpolation

  init(
    height: Int, width: Int, window: PixelArea? = nil, isFlipped: Bool = false, interpolation: Interpolation = .bilinear
  ) {
    self.height = height
    self.width = width
    self.window = window ?? PixelArea(top: 0, left: 0, height: height, width: width)
    self.isFlipped = isFlipped
    self.interpolation = interpolation
  }
}

private let half: Int32 = 1 << (Int32(ResamplingAxis.fractionBits) - 1)

/// Adds the sums of pixels times low and high halves of the weights, and rounds the total to a byte. The halves may wrap
/// around; the total fits.
@inline(__always)
private func rounded<Lanes: SIMD>(_ low: Lanes, _ high: Lanes) -> Lanes where Lanes.Scalar == Int32 {
  let sum = low &+ (high &<< Int32(ResamplingAxis.lowBits)) &+ half
  return (sum &>> Int32(ResamplingAxis.fractionBits)).clamped(lowerBound: Lanes(repeating: 0), upperBound: Lanes(repeating: 255))
}

/// Resamples each row to [columns.pixels.count,3].
/// - Parameter source: bytes from the first pixel on that takes part.
private func resampleRows(_ source: Bytes, rows: Int, _ columns: ResamplingAxis, into target: UnsafeMutablePointer<UInt8>) {
  let used = columns.sourceRange
  var output = target
  columns.pixels.withUnsafeBufferPointer { pixels in
    columns.taps.withUnsafeBufferPointer { taps in
      // Row widened to 16 bits, with a fourth channel of zeros.
      withUnsafeTemporaryAllocation(of: SIMD4<Int16>.self, capacity: used.count) { wide in
        for row in 0..<rows {
          var pixel = source.start + row * source.stride
          for w in 0..<used.count {
            wide[w] = SIMD4(Int16(pixel[0]), Int16(pixel[1]), Int16(pixel[2]), 0)
            pixel += 3
          }
          for p in pixels {
            var (low, high) = (SIMD4<Int32>.zero, SIMD4<Int32>.zero)
            let first = p.first - used.lowerBound
            for k in 0..<p.count {
              let (value, tap) = (SIMD4<Int32>(truncatingIfNeeded: wide[first + k]), taps[p.tap + k])
              low &+= value &* SIMD4(repeating: Int32(tap.low))
              high &+= value &* SIMD4(repeating: Int32(tap.high))
            }
            let result = rounded(low, high)
            output[0] = UInt8(truncatingIfNeeded: result.x)
            output[1] = UInt8(truncatingIfNeeded: result.y)
            output[2] = UInt8(truncatingIfNeeded: result.z)
            output += 3
          }
        }
      }
    }
  }
}

/// Resamples `width` columns of bytes to [rows.pixels.count, width].
/// - Parameter source: bytes from row 0 of the axis on.
private func resampleColumns(_ source: Bytes, _ rows: ResamplingAxis, width: Int, into target: UnsafeMutablePointer<UInt8>) {
  typealias Block = SIMD16<UInt8>
  rows.taps.withUnsafeBufferPointer { taps in
    for (row, p) in rows.pixels.enumerated() {
      let (from, to) = (source.moved(row: p.first, byte: 0), target + row * width)
      var column = 0
      while column + Block.scalarCount <= width {
        var (low, high) = (SIMD16<Int32>.zero, SIMD16<Int32>.zero)
        for k in 0..<p.count {
          let block = UnsafeRawPointer(from.start + k * from.stride + column).loadUnaligned(as: Block.self)
          let (value, tap) = (SIMD16<Int32>(truncatingIfNeeded: block), taps[p.tap + k])
          low &+= value &* SIMD16(repeating: Int32(tap.low))
          high &+= value &* SIMD16(repeating: Int32(tap.high))
        }
        let result = Block(truncatingIfNeeded: rounded(low, high))
        UnsafeMutableRawPointer(to + column).storeBytes(of: result, as: Block.self)
        column += Block.scalarCount
      }
      while column < width {
        var (low, high) = (SIMD2<Int32>.zero, SIMD2<Int32>.zero)
        for k in 0..<p.count {
          let (value, tap) = (SIMD2(repeating: Int32(from.start[k * from.stride + column])), taps[p.tap + k])
          low &+= value &* SIMD2(repeating: Int32(tap.low))
          high &+= value &* SIMD2(repeating: Int32(tap.high))
        }
        to[column] = UInt8(truncatingIfNeeded: rounded(low, high).x)
        column += 1
      }
    }
  }
}
