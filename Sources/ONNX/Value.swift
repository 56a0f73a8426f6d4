import Compute

/// A value of the graph while it is planned.
enum Value {
  case constant(Constant)
  case computed(Computed)

  var shape: [Int] {
    switch self {
    case .constant(let constant): constant.shape
    case .computed(let computed): computed.shape
    }
  }
}

/// A tensor that is computed on the device, in float32 whatever its type in the file.
///
/// ONNX's dimensions need not lie in memory in their order: `order` names them outermost first, so that an image [N,C,H,W] is
/// stored [N,H,W,C] with the order 0, 2, 3, 1, and transposing is but another order.
struct Computed: Hashable {
  /// The number of the memory it lies in.
  let buffer: Int
  /// As ONNX has it.
  let shape: [Int]
  let order: [Int]

  /// Outermost first.
  var storedShape: [Int] { order.map { shape[$0] } }

  /// Of ONNX's dimensions, in memory.
  var strides: [Int] {
    var strides = [Int](repeating: 0, count: shape.count)
    for (dimension, stride) in zip(order, StridedCopy.rowMajorStrides(storedShape)) { strides[dimension] = stride }
    return strides
  }

  /// Whether the elements lie as they would in another order of the dimensions: those of one pixel lie anywhere.
  func lies(in other: [Int]) -> Bool {
    order.filter { shape[$0] != 1 } == other.filter { shape[$0] != 1 }
  }

  /// The same memory under another shape, row-major.
  func reshaped(_ shape: [Int]) -> Computed { Computed(buffer: buffer, shape: shape, order: Array(shape.indices)) }

  /// The result's dimension i is this one's permutation[i]; nothing moves.
  func transposed(_ permutation: [Int]) -> Computed {
    var inverse = permutation
    for (i, dimension) in permutation.enumerated() { inverse[dimension] = i }
    return Computed(buffer: buffer, shape: permutation.map { shape[$0] }, order: order.map { inverse[$0] })
  }

  /// With a new dimension of one element before dimension `axis`.
  func inserting(_ axis: Int) -> Computed {
    var shape = shape
    shape.insert(1, at: axis)
    return Computed(buffer: buffer, shape: shape, order: [axis] + order.map { $0 < axis ? $0 : $0 + 1 })
  }

  /// Without dimension `axis`, of one element.
  func removing(_ axis: Int) -> Computed {
    var shape = shape
    shape.remove(at: axis)
    return Computed(buffer: buffer, shape: shape, order: order.filter { $0 != axis }.map { $0 < axis ? $0 : $0 - 1 })
  }
}
