/// Grey from colours: ITU-R BT.601's luma in 16-bit fixed point, as Pillow's `convert("L")` makes it. Of grey pixels it is their value.
/// - Parameter pixels: [..., 3], red, green, blue.
/// - Returns: [...].
public func luma(ofRGB pixels: UnsafeRawBufferPointer) -> [UInt8] {
  stride(from: 0, to: pixels.count, by: 3).map { luma(SIMD3(pixels[$0], pixels[$0 + 1], pixels[$0 + 2])) }
}
