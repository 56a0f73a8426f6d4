/// 64-bit FNV-1a checksum (Fowler, Noll & Vo). It detects damaged files and tells different sources apart. It is no defense
/// against malice.
public struct Checksum {
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  /// Creates the checksum of an empty sequence.
  public init() {}

  /// Adds more bytes to the checksum.
  public mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  /// Checksum as sixteen hexadecimal digits.
  public var text: String {
    let digits = String(state, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Returns the checksum of all the bytes as text.
  public static func of(_ bytes: some Sequence<UInt8>) -> String {
    var checksum = Checksum()
    checksum.add(bytes)
    return checksum.text
  }
}
