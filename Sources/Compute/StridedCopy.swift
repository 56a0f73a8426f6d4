/// The elements that ``ElementwiseOperations/rearrange(_:_:into:)`` moves, and their destinations. With one index iⱼ below each
/// extent:
///
///     y[to.start + Σ iⱼ·to.strides[j]] = x[from.start + Σ iⱼ·from.strides[j]]
///
/// x and y are indexed in the order in which their elements lie in memory. A stride of 0 in `from` repeats elements.
/// Transposition, concatenation, padding, cropping, broadcasting, subsampling and the patches of a convolution are such copies.
public struct StridedCopy: Hashable, Sendable {
  /// Position of the elements on one side.
  public struct Place: Hashable, Sendable {
    /// Offset of the first element, and the distance between elements in each dimension. Both count elements and are not
    /// negative.
    public var start: Int
    public var strides: [Int]

    public init(start: Int = 0, strides: [Int]) { (self.start, self.strides) = (start, strides) }
  }

  /// Number of dimensions that kernels support.
  public static let rank = 6

  /// Extents, outermost first. There are always ``rank`` of them, padded with ones in front.
  public let extents: [Int]
  public let from, to: Place

  /// Creates a copy. Neighboring dimensions that form one contiguous piece on both sides are merged.
  /// - Precondition: at most ``rank`` dimensions are left, and no two elements go to the same place.
  public init(extents: [Int], from: Place, to: Place) {
    precondition(
      extents.count == from.strides.count && extents.count == to.strides.count
        && (extents + from.strides + to.strides + [from.start, to.start]).allSatisfy { $0 >= 0 },
      "[rearrange] \(extents) from \(from) to \(to)")
    var (kept, source, destination) = ([Int](), [Int](), [Int]())
    for (extent, (s, t)) in zip(extents, zip(from.strides, to.strides)) where extent != 1 {
      if let last = kept.last, source[kept.count - 1] == extent * s, destination[kept.count - 1] == extent * t {
        kept[kept.count - 1] = last * extent
        (source[kept.count - 1], destination[kept.count - 1]) = (s, t)
      } else {
        kept.append(extent)
        source.append(s)
        destination.append(t)
      }
    }
    precondition(kept.count <= Self.rank, "[rearrange] \(kept.count) dimensions")
    let missing = Self.rank - kept.count
    self.extents = [Int](repeating: 1, count: missing) + kept
    self.from = Place(start: from.start, strides: [Int](repeating: 0, count: missing) + source)
    self.to = Place(start: to.start, strides: [Int](repeating: 0, count: missing) + destination)
  }

  /// Number of elements that are moved.
  public var count: Int { extents.reduce(1, *) }

  /// Returns the number of elements that the tensor on one side must have.
  public func reach(_ place: Place) -> Int {
    count == 0 ? 0 : place.start + zip(extents, place.strides).reduce(0) { $0 + ($1.0 - 1) * $1.1 } + 1
  }

  /// Returns the strides of a contiguous row-major tensor with these dimensions.
  public static func rowMajorStrides(_ dimensions: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: dimensions.count)
    for i in dimensions.indices.dropLast().reversed() { strides[i] = strides[i + 1] * dimensions[i + 1] }
    return strides
  }
}

extension StridedCopy: CustomStringConvertible {
  /// For example `2×3×5, from 0 by 15, 5, 1, to 7 by 1, 2, 6`.
  public var description: String {
    let kept = extents.indices.filter { extents[$0] != 1 }
    func describe(_ place: Place) -> String {
      "\(place.start)" + (kept.isEmpty ? "" : " by " + kept.map { String(place.strides[$0]) }.joined(separator: ", "))
    }
    return kept.map { String(extents[$0]) }.joined(separator: "×") + ", from \(describe(from)), to \(describe(to))"
  }
}
