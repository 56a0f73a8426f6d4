/// Grey from colours: ITU-R BT.601's luma in 16-bit fixed point, as Pillow's `convert("L")` makes it. Of grey pixels it is their value.
/// - Parameter pixels: [..., 3], red, green, blue.
/// - Returns: [...].
public func luma(ofRGB pixels: UnsafeRawBufferPointer) -> [UInt8] {
  stride(from: 0, to: pixels.count, by: 3).map { i in
    let (red, green, blue) = (Int(pixels[i]), Int(pixels[i + 1]), Int(pixels[i + 2]))
    let sum: Int = red * 19595 + green * 38470 + blue * 7471
    return UInt8((sum + 0x8000) >> 16)
  }
}
