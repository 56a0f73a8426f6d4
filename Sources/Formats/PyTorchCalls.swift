import Support

/// Handling of Python names and of calls with arguments.
extension Unpickler {
  /// Handles the opcodes that name something, call it, or refer to a storage. Returns whether the opcode is known.
  mutating func call(_ opcode: UInt8) throws -> Bool {
    switch opcode {
    case UInt8(ascii: "c"): stack.append(global(module: try input.line(), name: try input.line()))  // GLOBAL
    case 0x93:  // STACK_GLOBAL
      let names = try pop(2)
      guard case .string(let module) = names[0], case .string(let name) = names[1] else {
        throw input.failure("a name is \(names[0].kind) and \(names[1].kind), not two strings")
      }
      stack.append(global(module: module, name: name))
    case UInt8(ascii: "Q"): stack.append(try persistent(try pop()))  // BINPERSID
    case UInt8(ascii: "R"), 0x81: try call(try pop(2))  // REDUCE, NEWOBJ
    case 0x92: try call(Array(try pop(3).prefix(2)), hasKeywords: true)  // NEWOBJ_EX
    case UInt8(ascii: "o"):  // OBJ, of Python 2
      guard let made = try popToMark().first else { throw input.failure("a class is taken that is not there") }
      stack.append(.made(by: Self.name(of: made)))
    case UInt8(ascii: "i"):  // INST, of Python 2
      let made = global(module: try input.line(), name: try input.line())
      _ = try popToMark()
      stack.append(.made(by: Self.name(of: made)))
    case UInt8(ascii: "b"): try build(try pop(2))  // BUILD
    default: return false
    }
    return true
  }

  private func global(module: String, name: String) -> PickleValue {
    PyTorchGlobal(module: module, name: name).map(PickleValue.global) ?? .unknown(shortened("\(module).\(name)"))
  }

  private static func name(of value: PickleValue) -> String {
    switch value {
    case .unknown(let name): name
    case .global(let global): global.description
    default: value.kind
    }
  }

  /// Handles a call, without running anything.
  /// - Parameter call: the callee and its arguments.
  private mutating func call(_ call: [PickleValue], hasKeywords: Bool = false) throws {
    var wrong: Failure { input.failure("\(call[0].kind) is called with \(call[1].kind)") }
    guard case .tuple(let index) = call[1] else { throw wrong }
    switch call[0] {
    case .global(let global) where !hasKeywords: try make(global, pickle.tuples[index])
    case .global, .unknown: stack.append(.made(by: Self.name(of: call[0])))
    case .opaque: stack.append(call[0])
    default: throw wrong
    }
  }

  /// Skips a state, which is not needed here. PyTorch attaches the versions of its modules to a state dictionary, and before
  /// 0.4 (requires_grad, …) to a parameter.
  /// - Parameter values: the object that receives the state, and the state.
  private mutating func build(_ values: [PickleValue]) throws {
    switch values[0] {
    case .dictionary, .opaque: break
    case .tensor:
      guard let first = elements(of: values[1])?.first, case .boolean = first else { fallthrough }
    default: throw input.failure("\(values[0].kind) is given a state")
    }
    stack.append(values[0])
  }

  /// Reads a reference to a storage, which `torch.save` writes as ('storage', class, key, device, count). Before PyTorch 1.6
  /// a sixth field gives the part that is meant: (key, offset, count), or None. A reference to something else, or to a
  /// storage of an unsupported type, becomes opaque.
  mutating func persistent(_ reference: PickleValue) throws -> PickleValue {
    var wrong: Failure { input.failure("a storage is not referred to as PyTorch does it") }
    guard case .tuple(let index) = reference, case let fields = pickle.tuples[index], fields.count >= 2,
      case .string(let kind) = fields[0]
    else { throw wrong }
    guard kind == "storage" else { return .unread("a reference to \(fields[1].kind)") }
    guard fields.count >= 5, case .string(let key) = fields[2], case .string = fields[3], case .integer(let count) = fields[4],
      count >= 0
    else { throw wrong }
    if case .unknown(let name) = fields[1] {
      if let size = Self.unreadSizes[name] { pickle.storageSizes[Name(key), default: []].insert(size) }
      return .opaque("a storage of '\(name)', which is not read")
    }
    guard case .global(.storageClass(let element)) = fields[1] else { throw wrong }
    pickle.storageSizes[Name(key), default: []].insert(element?.byteCount ?? 1)
    var storage = PyTorchStorage(key: key, element: element, count: count)
    if fields.count > 5, case .tuple(let index) = fields[5] {
      let view = pickle.tuples[index]
      guard view.count == 3, case .integer(let offset) = view[1], case .integer(let part) = view[2], offset >= 0, part >= 0,
        offset <= count, part <= count - offset
      else { throw wrong }
      storage.part = offset..<offset + part
    }
    return .storage(storage)
  }

  /// Element sizes in bytes of unsupported storage types. In a stream they are needed to find the storages that follow.
  private static let unreadSizes = [
    "torch.ComplexFloatStorage": 8, "torch.ComplexDoubleStorage": 16, "torch.QUInt8Storage": 1, "torch.QInt8Storage": 1,
    "torch.QInt32Storage": 4,
  ]

  /// Pushes the result that a name makes of its arguments.
  /// - Throws: a ``Failure`` for arguments that PyTorch does not write.
  mutating func make(_ global: PyTorchGlobal, _ arguments: [PickleValue]) throws {
    var wrong: Failure {
      let kinds = arguments.prefix(5).map(\.kind).joined(separator: ", ") + (arguments.count > 5 ? ", …" : "")
      return input.failure("\(global) is given \(arguments.isEmpty ? "nothing" : kinds)")
    }
    switch global {
    case .orderedDictionary:
      // Python 2 passes all keys and values as a list of pairs.
      let pairs = arguments.isEmpty ? [] : elements(of: arguments[0]).map { $0.map(elements) }
      guard arguments.count <= 1, let pairs, pairs.allSatisfy({ $0?.count == 2 }) else { throw wrong }
      pushDictionary(pairs.compactMap { $0.map { ($0[0], $0[1]) } })
    case .size:
      guard arguments.count == 1, case .tuple = arguments[0] else { throw wrong }
      stack.append(arguments[0])
    case .device:
      stack.append(.opaque("a device"))
    case .rebuildTensor(let version):
      guard arguments.count >= (version == 1 ? 4 : version == 2 ? 6 : 7) else { throw wrong }
      for value in [arguments[0]] + (version == 3 ? [arguments[6]] : []) {
        switch value {
        // The type of the tensor is not supported.
        case .opaque, .unknown: return stack.append(.unread("a tensor made of \(value.kind)"))
        default: break
        }
      }
      guard case .storage(let storage) = arguments[0] else { throw wrong }
      var element = storage.element
      if version == 3, case .global(.element(let own)) = arguments[6] { element = own }
      guard let element, case .integer(let offset) = arguments[1], let shape = try extents(arguments[2]),
        let strides = try extents(arguments[3])
      else { throw wrong }
      stack.append(.tensor(pickle.tensors.count))
      do {
        pickle.tensors.append(try PyTorchTensor(storage, element, offset: offset, shape: shape, strides: strides))
      } catch let failure as Failure { throw input.failure("\(failure)", failure.kind) }
    case .rebuildParameter(let hasState):
      guard arguments.count == (hasState ? 4 : 3), Self.isTensor(arguments[0]) else { throw wrong }
      stack.append(arguments[0])
    case .parameter:
      guard (1...2).contains(arguments.count), Self.isTensor(arguments[0]) else { throw wrong }
      stack.append(arguments[0])
    case .rebuildFromType:
      guard arguments.count == 4, case .tuple(let index) = arguments[2] else { throw wrong }
      switch arguments[0] {
      case .global(let function) where function.makesTensors: try make(function, pickle.tuples[index])
      default: stack.append(.unread("a tensor made by \(arguments[0].kind)"))
      }
    case .storageClass, .element:
      throw input.failure("\(global) is called")
    }
  }

  private static func isTensor(_ value: PickleValue) -> Bool {
    switch value {
    case .tensor, .opaque: true
    default: false
    }
  }

  /// Returns the values in a tuple or a list; nil for any other value.
  func elements(of value: PickleValue) -> [PickleValue]? {
    switch value {
    case .tuple(let index): pickle.tuples[index]
    case .list(let index): pickle.lists[index]
    default: nil
    }
  }

  /// Returns the sizes or strides of a tensor; nil unless the value is a tuple of integers.
  private func extents(_ value: PickleValue) throws -> [Int]? {
    guard case .tuple(let index) = value, case let values = pickle.tuples[index] else { return nil }
    guard values.count <= PyTorchTensor.maximumRank else {
      throw input.failure("a tensor of \(values.count) dimensions; PyTorch has at most \(PyTorchTensor.maximumRank)")
    }
    let integers = values.compactMap { if case .integer(let integer) = $0 { integer } else { nil } }
    return integers.count == values.count ? integers : nil
  }
}
