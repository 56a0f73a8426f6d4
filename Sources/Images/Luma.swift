/// Converts colors to gray: the luma of ITU-R BT.601 in 16-bit fixed point, as in Pillow's `convert("L")`. A gray pixel keeps
/// its value.
/// - Parameter pixels: [..., 3], red, green, blue.
/// - Returns: gray values [...].
public func luma(ofRGB pixels: UnsafeRawBufferPointer) -> [UInt8] {
  stride(from: 0, to: pixels.count, by: 3).map { luma(SIMD3(pixels[$0], pixels[$0 + 1], pixels[$0 + 2])) }
}
