/// The extents of a tensor, outermost first; the innermost dimension is contiguous in memory.
///
/// Activations are [N, H, W, C], filters [R, S, C, K]: N images of H×W pixels and C channels; R×S filter taps; K output
/// channels; P×Q output pixels. These letters mean the same everywhere in the project.
///
/// ```swift
/// let images: Shape = [128, 32, 32, 3]
/// print(images.rank, images.count, images[0])  // 4 393216 128
/// ```
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  public let dimensions: [Int]

  public init(_ dimensions: [Int]) {
    precondition(dimensions.allSatisfy { $0 >= 0 }, "[Shape] negative dimension in \(dimensions)")
    self.dimensions = dimensions
  }

  public init(arrayLiteral elements: Int...) { self.init(elements) }

  public subscript(index: Int) -> Int { dimensions[index] }

  /// The number of dimensions.
  public var rank: Int { dimensions.count }

  /// The number of elements; 1 for a scalar.
  public var count: Int { dimensions.reduce(1, *) }

  /// Returns the number of elements, or nil if it is above `bound`. For a shape without elements, returns nil if the product of
  /// the nonzero dimensions is above `bound`. If the result is not nil, no product of some of the dimensions overflows.
  public func count(within bound: Int) -> Int? {
    var product = 1
    for dimension in dimensions where dimension > 0 {
      guard dimension <= bound / product else { return nil }
      product *= dimension
    }
    return dimensions.contains(0) ? 0 : product
  }

  /// For example `[128, 32, 32, 16]`.
  public var description: String { "[\(dimensions.map(String.init).joined(separator: ", "))]" }
}
