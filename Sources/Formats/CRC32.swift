import CZlib

/// CRC-32 of IEEE 802.3, as gzip, zip and PNG use it, computed by zlib.
///
/// It finds every burst of errors of up to 32 bits. It misses other damage with a probability of 2⁻³². It is no defense against
/// malice.
package struct CRC32: Sendable {
  /// Check value of the bytes so far; 0 for none.
  package private(set) var value: UInt32 = 0

  /// Creates the check value of no bytes.
  package init() {}

  /// Adds bytes.
  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
    value = UInt32(truncatingIfNeeded: crc32_z(UInt(value), start.assumingMemoryBound(to: UInt8.self), bytes.count))
  }

  /// Adds the bytes of a text or an array.
  package mutating func add(_ bytes: some Collection<UInt8>) {
    let isDone: Void? = bytes.withContiguousStorageIfAvailable { add(UnsafeRawBufferPointer($0)) }
    if isDone == nil { Array(bytes).withUnsafeBytes { add($0) } }
  }

  /// Returns the check value of the bytes: 0xCBF4_3926 for the digits "123456789".
  package static func of(_ bytes: some Collection<UInt8>) -> UInt32 {
    var crc = CRC32()
    crc.add(bytes)
    return crc.value
  }

  /// The check value as eight hexadecimal digits.
  package var text: String { Self.text(value) }

  /// Returns a check value as eight hexadecimal digits.
  package static func text(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
