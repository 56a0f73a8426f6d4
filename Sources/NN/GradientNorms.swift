import Compute

extension ParameterStore {
  /// Returns the Euclidean norms of the trained parameters' parts of an arena with the weights' layout, in the order of
  /// ``parameters``. The arena is read at once, and the squares are summed up in double precision.
  /// - Throws: errors of the backend.
  /// - Precondition: the store is allocated.
  public func norms(of arena: Tensor) throws -> [(parameter: Parameter, norm: Double)] {
    let values = try backend.download(arena)
    return values.bytes.withUnsafeBytes { bytes in
      layout(parameters, on: backend).places.map { entry, offset in
        let end = offset + entry.shape.count * arena.type.byteCount
        let part = UnsafeRawBufferPointer(rebasing: bytes[offset..<end])
        let sum = arena.type == .float64 ? sumOfSquares(part, of: Double.self) : sumOfSquares(part, of: Float.self)
        return (entry, sum.squareRoot())
      }
    }
  }
}

private func sumOfSquares<Value: BinaryFloatingPoint>(_ bytes: UnsafeRawBufferPointer, of _: Value.Type) -> Double {
  bytes.assumingMemoryBound(to: Value.self).reduce(0) { $0 + Double($1) * Double($1) }
}

extension Optimizer {
  /// Returns the Euclidean norms of the gradients that the last step was made of: means over its batches, without the loss scale
  /// and before they were clipped. Frozen parameters have none.
  /// - Returns: the norms in the order of the store's parameters; nil if this optimizer has made no step yet.
  /// - Throws: errors of the backend.
  public func gradientNorms() throws -> [(parameter: Parameter, norm: Double)]? {
    guard let factor = try gradientFactor() else { return nil }
    return try store.norms(of: gradients).filter { !$0.parameter.isFrozen }.map { ($0.parameter, $0.norm * factor) }
  }

  /// Returns the gradients that the last step was made of, as ``gradientNorms()`` measures them, with torchvision's names and
  /// layouts.
  /// - Returns: nil if this optimizer has made no step yet.
  /// - Throws: errors of the backend.
  public func lastGradients() throws -> [(name: String, values: [Float])]? {
    guard let factor = try gradientFactor().map(Float.init) else { return nil }
    let frozen = Set(store.parameters.filter(\.isFrozen).map(\.name))
    return try store.dictionary(of: gradients).filter { !frozen.contains($0.name) }.map { name, tensor in
      (name, tensor.floats.map { $0 * factor })
    }
  }
}
