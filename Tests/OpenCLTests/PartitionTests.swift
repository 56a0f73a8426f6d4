import OpenCL
import Testing

/// Tests parts of a device. PoCL, which the tests' setup provides, can partition any CPU with two or more compute units.
@Suite struct PartitionTests {
  private let device: Device

  init() throws { device = try #require(try Platform.all().first?.devices().first) }

  @Test func partsShareTheUnits() throws {
    let parts = try device.partitioned(into: 2)
    #expect(parts.count == 2 && Set(parts).count == 2)
    for part in parts {
      #expect(try part.computeUnits == device.computeUnits / 2)
      #expect(try part.name == device.name)
      #expect(part.partsOfWhole == 2)
    }
    #expect(device.partsOfWhole == 1)
  }

  @Test func partOutlivesTheOthers() throws {
    let part = try #require(try device.partitioned(into: 2).last)
    let context = try Context(device: part)
    let queue = try Queue(context: context)
    let buffer = try Buffer(context: context, byteCount: 64)
    try queue.fill(buffer, with: Int32(7), byteCount: 64)
    var values = [Int32](repeating: 0, count: 16)
    try values.withUnsafeMutableBytes { try queue.read(buffer, into: $0) }
    #expect(values == [Int32](repeating: 7, count: 16))
  }

  @Test func moreThanTheUnitsIsRefused() throws {
    let count = try device.computeUnits + 1
    do {
      _ = try device.partitioned(into: count)
      Issue.record("\(count) parts were made")
    } catch {
      #expect(error.name == "CL_INVALID_DEVICE_PARTITION_COUNT")
      #expect(error.description.contains("\(count) parts"))
    }
  }
}
