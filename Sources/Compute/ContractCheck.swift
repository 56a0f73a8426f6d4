extension OperationContract {
  /// Stops the program if the operands break the contract; names the operation and the operand, in release builds too.
  /// - Parameters:
  ///   - scalar: the backend's ``Backend/scalar`` type.
  ///   - acceptsHalf: whether the backend accepts activations of 16-bit types.
  package func check(scalar: DataType, acceptsHalf: Bool) {
    if let violation = violation(scalar: scalar, acceptsHalf: acceptsHalf) { fatalError(violation) }
  }

  /// Returns a description of the first operand that breaks the contract, or nil if none does.
  ///
  /// Results that overlap other operands are found if both are the same storage. A dry run also finds overlapping views.
  package func violation(scalar: DataType, acceptsHalf: Bool) -> String? {
    var activations = acceptsHalf ? [scalar, .float16, .bfloat16] : [scalar]
    for (index, operand) in operands.enumerated() {
      let tensor = operand.tensor
      if tensor.shape != operand.shape || !operand.elements.allows(tensor.type, scalar, activations) {
        let types = DataType.allCases.filter { operand.elements.allows($0, scalar, activations) }
        return "[\(name)] \(operand.name) is \(tensor.shape) of \(tensor.type), not \(operand.shape) of "
          + types.map(\.rawValue).joined(separator: " or ")
      }
      if operand.elements == .activation { activations = [tensor.type] }
      if operand.role != .read, let other = sharer(ofMemoryOf: index) {
        return "[\(name)] \(operand.name) is in the memory of \(other)"
      }
    }
    return nil
  }

  /// Returns the name of an operand whose storage the result at `index` has too, but must not have.
  private func sharer(ofMemoryOf index: Int) -> String? {
    let result = operands[index]
    for (other, operand) in operands.enumerated() where other != index && operand.tensor.storage === result.tensor.storage {
      let isEarlierResult = operand.role != .read && other < index
      if isEarlierResult || operand.role == .read && !result.replaces.contains(operand.name) { return operand.name }
    }
    return nil
  }

  /// Stops the program if a condition on the operands together, or on the operation's constants, does not hold.
  package static func require(_ condition: Bool, _ name: String, _ message: @autoclosure () -> String) {
    if !condition { fatalError("[\(name)] \(message())") }
  }

  /// Stops the program if a tensor does not have so many dimensions.
  package static func require(_ tensor: Tensor, rank: Int, _ name: String, _ operand: String) {
    require(tensor.shape.rank == rank, name, "\(operand) is \(tensor.shape), not of \(rank) dimensions")
  }
}

extension OperationContract.Elements {
  /// Returns whether an operand may have this type.
  /// - Parameters:
  ///   - scalar: the backend's scalar type.
  ///   - activations: types that activations may have in this call.
  fileprivate func allows(_ type: DataType, _ scalar: DataType, _ activations: [DataType]) -> Bool {
    switch self {
    case .scalar: type == scalar
    case .activation: activations.contains(type)
    case .pixel: type == .uint8 || type == scalar
    case .int32: type == .int32
    case .uint8: type == .uint8
    case .any: true
    }
  }
}
