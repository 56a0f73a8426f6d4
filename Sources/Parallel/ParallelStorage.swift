import Compute

/// A block of memory on each of several devices.
final class ParallelStorage: Storage {
  enum Layout {
    /// The first dimension is the `images` images of a batch, of which each device holds its share.
    case split(images: Int)
    /// Each device has memory for the whole block; a view begins at `offset`.
    case replicated(Replicas, offset: Int)
  }

  let byteCount: Int
  let layout: Layout
  /// One part per device; nil for a device that has none of the images.
  let parts: [(any Storage)?]

  init(byteCount: Int, _ layout: Layout, _ parts: [(any Storage)?]) {
    (self.byteCount, self.layout, self.parts) = (byteCount, layout, parts)
  }
}

/// The bytes of a replicated block that are not the same on all devices. All other bytes are.
final class Replicas {
  /// Bytes that are valid on the first device only.
  private(set) var leading = RangeSet<Int>()
  /// Bytes whose value is the sum over the devices: each device has summed over its own images.
  private(set) var summands = RangeSet<Int>()

  enum State {
    case equal, leading, summands
  }

  func set(_ state: State, _ range: Range<Int>) {
    leading.remove(contentsOf: range)
    summands.remove(contentsOf: range)
    if case .leading = state { leading.insert(contentsOf: range) }
    if case .summands = state { summands.insert(contentsOf: range) }
  }

  /// Marks the sums in `range` as present on the first device.
  func lead(_ range: Range<Int>) {
    leading.formUnion(summands.intersection(RangeSet(range)))
    summands.remove(contentsOf: range)
  }
}

/// Parts of a tensor that are being read from several devices, and the function that combines them.
final class ParallelReadback: Readback {
  private let parts: [any Readback]
  private let combine: ([HostTensor]) -> HostTensor

  init(_ parts: [any Readback], _ combine: @escaping ([HostTensor]) -> HostTensor) {
    (self.parts, self.combine) = (parts, combine)
  }

  var isReady: Bool { parts.allSatisfy(\.isReady) }

  func wait() throws -> HostTensor { combine(try parts.map { try $0.wait() }) }
}

extension HostTensor {
  /// Adds the elements of other tensors of the same shape, one tensor after the other, in the given ranges of bytes.
  mutating func add(_ others: ArraySlice<HostTensor>, in ranges: RangeSet<Int>) {
    for other in others {
      type == .float64 ? add(Double.self, other, ranges) : add(Float.self, other, ranges)
    }
  }

  private mutating func add<T: BinaryFloatingPoint & BitwiseCopyable>(_: T.Type, _ other: HostTensor, _ ranges: RangeSet<Int>) {
    precondition(type == (T.self == Double.self ? .float64 : .float32), "[HostTensor] sums of \(type)")
    let size = MemoryLayout<T>.size
    bytes.withUnsafeMutableBytes { sums in
      other.bytes.withUnsafeBytes { terms in
        let (sums, terms) = (sums.bindMemory(to: T.self), terms.bindMemory(to: T.self))
        for range in ranges.ranges {
          for i in range.lowerBound / size..<range.upperBound / size { sums[i] += terms[i] }
        }
      }
    }
  }
}
