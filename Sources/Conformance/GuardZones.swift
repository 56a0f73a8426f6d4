import Compute

/// Memory directly before and behind a tensor, with a pattern that no operation may change.
///
/// A kernel that writes beyond its operand is found on every device, also on a GPU that checks no bounds. The pattern consists of
/// NaNs in float32 and in both 16-bit types, so that a kernel that uses what it reads beyond its operand gives a wrong result.
struct GuardZones {
  /// Memory of both zones and of the tensor between them.
  private let block: any Storage
  private let before, inside, behind: Int

  /// Smallest size of a zone in bytes.
  private static let smallest = 1024

  /// Uploads a tensor into the middle of a block of memory.
  /// - Parameter floatingPoint: type to which floating-point elements are converted; nil for the backend's own.
  static func around(
    _ contents: HostTensor, as floatingPoint: DataType?, on backend: any Backend
  ) throws -> (tensor: Tensor, zones: GuardZones) {
    let type = contents.type.isFloatingPoint ? floatingPoint ?? backend.scalar : contents.type
    let converted = contents.converted(to: type)
    let (size, inside) = (max(smallest, backend.alignment), converted.bytes.count)
    let block = try backend.allocate(byteCount: size + inside + size)
    let whole = Tensor(shape: [size + inside + size], type: .uint8, storage: block)
    let bytes = pattern(size) + converted.bytes + pattern(size)
    try bytes.withUnsafeBytes { try backend.write($0, to: whole) }
    let storage = try backend.slice(block, offset: size, byteCount: inside)
    return (
      Tensor(shape: contents.shape, type: type, storage: storage),
      GuardZones(block: block, before: size, inside: inside, behind: size)
    )
  }

  /// Returns NaNs with different payloads, in pairs of bytes.
  private static func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { (index: Int) -> UInt8 in index % 2 == 0 ? 0xC1 + UInt8(index / 2 % 31) : 0x7F }
  }

  /// Returns a description of each zone whose pattern has changed.
  func damages(on backend: any Backend) throws -> [String] {
    // A view begins at a multiple of the alignment, so the second one begins with the tensor's last bytes.
    let end = before + inside
    let start = end - end % backend.alignment
    let views = try [(0, before), (start, end + behind - start)].map { offset, count in
      Tensor(shape: [count], type: .uint8, storage: try backend.slice(block, offset: offset, byteCount: count))
    }
    let bytes = try views.map(backend.readLater).map { try $0.wait().bytes }
    let zones = [("before its beginning", bytes[0]), ("behind its end", Array(bytes[1][(end - start)...]))]
    return zones.compactMap { place, bytes in
      let pattern = Self.pattern(bytes.count)
      let changed = bytes == pattern ? [] : bytes.indices.filter { bytes[$0] != pattern[$0] }
      guard let first = changed.first, let last = changed.last else { return nil }
      return "the operation wrote \(changed.count) of the bytes \(first) … \(last) of the guard zone \(place)"
    }
  }
}
