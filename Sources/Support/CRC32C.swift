/// Cyclic redundancy check with Castagnoli's polynomial (RFC 3720, appendix B.4), as records of several file formats carry it.
public enum CRC32C {
  /// Remainders of each byte, for the reflected polynomial 0x82F63B78.
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
  }

  /// Returns the check value of the bytes: 0xE306_9283 for the digits "123456789".
  public static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
    ~table.withUnsafeBufferPointer { table in
      bytes.reduce(~UInt32(0)) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
    }
  }
}
