import Compute

/// What PyTorch's names make of their arguments.
extension Unpickler {
  /// ('storage', class, key, device, count), as `torch.save` refers to the archive's records.
  func storage(_ reference: PickleValue) throws -> PyTorchStorage {
    guard case .tuple(let index) = reference, case let fields = pickle.tuples[index], fields.count >= 5,
      case .string("storage") = fields[0], case .global(.storageClass(let element)) = fields[1],
      case .string(let key) = fields[2], case .string = fields[3], case .integer(let count) = fields[4], count >= 0
    else { throw input.failure("a storage is not referred to as PyTorch does it") }
    return PyTorchStorage(key: key, element: element, count: count)
  }

  /// Pushes what a name makes of its arguments.
  /// - Throws: a ``Failure`` for arguments that PyTorch does not write.
  mutating func make(_ global: PyTorchGlobal, _ arguments: [PickleValue]) throws {
    var wrong: Failure {
      let kinds = arguments.prefix(5).map(\.kind).joined(separator: ", ") + (arguments.count > 5 ? ", …" : "")
      return input.failure("\(global) is given \(arguments.isEmpty ? "nothing" : kinds)")
    }
    switch global {
    case .orderedDictionary:
      guard arguments.isEmpty else { throw wrong }
      pushDictionary()
    case .size:
      guard arguments.count == 1, case .tuple = arguments[0] else { throw wrong }
      stack.append(arguments[0])
    case .device:
      stack.append(.other("a device"))
    case .rebuildTensor(let version):
      guard arguments.count >= (version == 1 ? 4 : version == 2 ? 6 : 7), case .storage(let storage) = arguments[0] else {
        throw wrong
      }
      var element = storage.element
      if version == 3, case .global(.element(let own)) = arguments[6] { element = own }
      guard let element, case .integer(let offset) = arguments[1], let shape = try extents(arguments[2]),
        let strides = try extents(arguments[3])
      else { throw wrong }
      stack.append(.tensor(pickle.tensors.count))
      do {
        pickle.tensors.append(try PyTorchTensor(storage, element, offset: offset, shape: shape, strides: strides))
      } catch let failure as Failure { throw input.failure(failure.description) }
    case .rebuildParameter(let hasState):
      guard arguments.count == (hasState ? 4 : 3), case .tensor = arguments[0] else { throw wrong }
      stack.append(arguments[0])
    case .storageClass, .element:
      throw input.failure("\(global) is called")
    }
  }

  /// A tensor's sizes or strides; nil for anything but a tuple of integers.
  private func extents(_ value: PickleValue) throws -> [Int]? {
    guard case .tuple(let index) = value, case let values = pickle.tuples[index] else { return nil }
    guard values.count <= PyTorchTensor.maximumRank else {
      throw input.failure("a tensor of \(values.count) dimensions; PyTorch has at most \(PyTorchTensor.maximumRank)")
    }
    let integers = values.compactMap { if case .integer(let integer) = $0 { integer } else { nil } }
    return integers.count == values.count ? integers : nil
  }
}
