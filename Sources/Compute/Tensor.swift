/// A block of a backend's memory. It returns to the backend when the last reference to it is dropped.
public protocol Storage: AnyObject {
  var byteCount: Int { get }
}

/// Elements of one type in a backend's memory, contiguous, row-major. Copying a tensor copies the reference, not the elements.
///
/// ```swift
/// let x = try backend.tensor([8, 16])
/// try backend.fill(x, with: 1)
/// print(x.shape, x.reshaped([128]).shape)  // [8, 16] [128]
/// ```
public struct Tensor {
  public let shape: Shape
  public let type: DataType
  public let storage: any Storage

  public init(shape: Shape, type: DataType, storage: any Storage) {
    precondition(
      storage.byteCount >= shape.count * type.byteCount,
      "[Tensor] \(shape) of \(type) does not fit into \(storage.byteCount) bytes")
    self.shape = shape
    self.type = type
    self.storage = storage
  }

  public var count: Int { shape.count }
  public var byteCount: Int { count * type.byteCount }

  /// Returns the same elements under another shape of equal count.
  public func reshaped(_ shape: Shape) -> Tensor {
    precondition(shape.count == count, "[Tensor] \(self.shape) cannot be viewed as \(shape)")
    return Tensor(shape: shape, type: type, storage: storage)
  }
}
