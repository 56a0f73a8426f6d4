import CZlib

/// Inflation of deflated bytes that are in memory (RFC 1951).
enum Inflation {
  /// Returns the contents of deflated bytes, without a header.
  /// - Parameter byteCount: number of bytes that the contents must have. No more memory than this is taken.
  /// - Returns: nil if the bytes are damaged or hold another number of bytes.
  static func inflated(_ bytes: [UInt8], byteCount: Int) -> [UInt8]? {
    guard let available = UInt32(exactly: bytes.count), let room = UInt32(exactly: byteCount) else { return nil }
    var stream = z_stream()
    // A negative logarithm of the window says that there is no header.
    guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { return nil }
    defer { inflateEnd(&stream) }
    var isWhole = false
    // zlib wants a place to write to, even if nothing is written.
    let contents = [UInt8](unsafeUninitializedCapacity: max(1, byteCount)) { buffer, filled in
      bytes.withUnsafeBufferPointer { source in
        stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
        stream.avail_in = available
        stream.next_out = buffer.baseAddress
        stream.avail_out = room
        isWhole = inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0
        filled = byteCount - Int(stream.avail_out)
      }
    }
    return isWhole ? contents : nil
  }
}
