/// Operations that set or copy whole tensors, of any type.
public protocol FillAndCopy {
  /// Sets every element of a floating-point or integer tensor to `value`.
  func fill(_ tensor: Tensor, with value: Double) throws
  /// Copies all elements between tensors of equal type and count.
  func copy(_ source: Tensor, into destination: Tensor) throws
}

extension OperationContract {
  /// Contract of ``FillAndCopy/fill(_:with:)``.
  package static func fill(_ tensor: Tensor, with value: Double) -> Self {
    Self("fill", "\(tensor.shape)", [.write("tensor", tensor, tensor.shape, .any, .asAllocated)]) {
      try $0.fill($1["tensor"], with: value)
    }
  }

  /// Contract of ``FillAndCopy/copy(_:into:)``.
  package static func copy(_ source: Tensor, into destination: Tensor) -> Self {
    require(
      source.count == destination.count && source.type == destination.type, "copy",
      "\(source.shape) of \(source.type) into \(destination.shape) of \(destination.type)")
    return Self(
      "copy", "\(source.shape)",
      [
        .read("source", source, source.shape, .any, .asAllocated),
        .write("destination", destination, destination.shape, .any, .asAllocated),
      ]
    ) { try $0.copy($1["source"], into: $1["destination"]) }
  }
}

extension ContractBackend {
  public func fill(_ tensor: Tensor, with value: Double) throws { try perform(.fill(tensor, with: value)) }

  public func copy(_ source: Tensor, into destination: Tensor) throws { try perform(.copy(source, into: destination)) }
}
