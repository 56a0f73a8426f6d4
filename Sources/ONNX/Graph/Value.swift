import Compute

/// Value of the graph during planning.
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

/// Tensor that is computed on the device, in float32 whatever its type in the file.
///
/// The order of the dimensions in memory may differ from ONNX's. `order` lists ONNX's dimensions outermost first: an image
/// [N,C,H,W] that is stored as [N,H,W,C] has the order 0, 2, 3, 1. Transposing only changes this order.
struct Computed: Hashable {
  /// Index of the buffer that holds the tensor.
  let buffer: Int
  /// Sizes of ONNX's dimensions.
  let shape: [Int]
  let order: [Int]

  /// Sizes of the dimensions as they are stored, outermost first.
  var storedShape: [Int] { order.map { shape[$0] } }

  /// Strides of ONNX's dimensions in memory.
  var strides: [Int] {
    var strides = [Int](repeating: 0, count: shape.count)
    for (dimension, stride) in zip(order, StridedCopy.rowMajorStrides(storedShape)) { strides[dimension] = stride }
    return strides
  }

  /// Whether another order of the dimensions gives the elements the same places in memory. Dimensions of one element may be
  /// anywhere.
  func lies(in other: [Int]) -> Bool {
    order.filter { shape[$0] != 1 } == other.filter { shape[$0] != 1 }
  }

  /// Returns the same memory under another shape, row-major.
  func reshaped(_ shape: [Int]) -> Computed { Computed(buffer: buffer, shape: shape, order: Array(shape.indices)) }

  /// Returns the tensor with its dimensions permuted: dimension i of the result is dimension permutation[i] of this one. Nothing
  /// moves.
  func transposed(_ permutation: [Int]) -> Computed {
    var inverse = permutation
    for (i, dimension) in permutation.enumerated() { inverse[dimension] = i }
    return Computed(buffer: buffer, shape: permutation.map { shape[$0] }, order: order.map { inverse[$0] })
  }

  /// Returns the tensor with a new dimension of one element before dimension `axis`.
  func inserting(_ axis: Int) -> Computed {
    var shape = shape
    shape.insert(1, at: axis)
    return Computed(buffer: buffer, shape: shape, order: [axis] + order.map { $0 < axis ? $0 : $0 + 1 })
  }

  /// Returns the tensor without dimension `axis`, which has one element.
  func removing(_ axis: Int) -> Computed {
    var shape = shape
    shape.remove(at: axis)
    return Computed(buffer: buffer, shape: shape, order: order.filter { $0 != axis }.map { $0 < axis ? $0 : $0 - 1 })
  }
}
