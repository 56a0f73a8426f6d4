import Support

/// Value of a pickle. Containers refer to their values by index into ``Pickle``, so that nothing nests. However a file links
/// its values, releasing and walking them takes no recursion.
enum PickleValue {
  case none
  case boolean(Bool)
  case integer(Int)
  case string(String)
  case global(PyTorchGlobal)
  /// A Python name without a meaning here, as `module.name`. It is never looked up.
  case unknown(String)
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case storage(PyTorchStorage)
  case tensor(Int)
  /// A value of which only the kind is kept, for example `a number`, as no reader needs more. It is never built.
  case opaque(String)

  /// Returns an opaque value whose kind is described by the kind of another value. The text is cut, so that such descriptions
  /// do not grow.
  static func unread(_ kind: String) -> PickleValue { .opaque(String(kind.prefix(160))) }

  /// Returns a placeholder for the result of a call that is never made.
  static func made(by name: String) -> PickleValue { .unread("what '\(name)' would make if it were run") }

  /// Kind of the value, for messages.
  var kind: String {
    switch self {
    case .none: "None"
    case .boolean: "a boolean"
    case .integer: "an integer"
    case .string: "a string"
    case .global(let global): "'\(global)'"
    case .unknown(let name): "'\(name)'"
    case .tuple: "a tuple"
    case .list: "a list"
    case .dictionary: "a dictionary"
    case .storage: "a storage"
    case .tensor: "a tensor"
    case .opaque(let kind): kind
    }
  }
}

/// Values that a pickle describes.
struct Pickle {
  /// Tuples by index. The first one is the empty tuple.
  var tuples: [[PickleValue]] = [[]]
  var lists: [[PickleValue]] = []
  var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  var tensors: [PyTorchTensor] = []
  /// Element sizes in bytes, by the keys of the storages that are referred to. Honest files have one size for each key.
  var storageSizes: [Name: Set<Int>] = [:]
}

/// The only Python names that have a meaning here. None of them is run; each tells how to read its arguments.
enum PyTorchGlobal: CustomStringConvertible {
  case orderedDictionary
  /// `_rebuild_tensor` with (storage, offset, shape, strides). Version 2 adds (requires_grad, hooks), version 3 adds the
  /// element type to these.
  case rebuildTensor(version: Int)
  /// `_rebuild_parameter` with (tensor, requires_grad, hooks), and with a state if there is one.
  case rebuildParameter(hasState: Bool)
  /// `_rebuild_from_type_v2` with (function, class, arguments, state). The function is one of those above.
  case rebuildFromType
  /// The class itself, called by PyTorch before 0.4 with (tensor) or (tensor, requires_grad).
  case parameter
  case size
  case device
  /// Class of the storages of an element type; nil for plain bytes.
  case storageClass(PyTorchElement?)
  case element(PyTorchElement)

  init?(module: String, name: String) {
    switch (module, name) {
    case ("collections", "OrderedDict"): self = .orderedDictionary
    case ("torch._utils", "_rebuild_tensor"): self = .rebuildTensor(version: 1)
    case ("torch._utils", "_rebuild_tensor_v2"): self = .rebuildTensor(version: 2)
    case ("torch._utils", "_rebuild_tensor_v3"): self = .rebuildTensor(version: 3)
    case ("torch._utils", "_rebuild_parameter"): self = .rebuildParameter(hasState: false)
    case ("torch._utils", "_rebuild_parameter_with_state"): self = .rebuildParameter(hasState: true)
    case ("torch._tensor", "_rebuild_from_type_v2"): self = .rebuildFromType
    case ("torch.nn.parameter", "Parameter"): self = .parameter
    case ("torch", "Size"): self = .size
    case ("torch", "device"): self = .device
    case ("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage"): self = .storageClass(nil)
    case ("torch", _):
      guard let element = PyTorchElement.allCases.first(where: { $0.rawValue == name || $0.storageName == name }) else {
        return nil
      }
      self = element.rawValue == name ? .element(element) : .storageClass(element)
    default: return nil
    }
  }

  /// Whether it makes a tensor from a storage or from another tensor.
  var makesTensors: Bool {
    switch self {
    case .rebuildTensor, .rebuildParameter: true
    default: false
    }
  }

  var description: String {
    switch self {
    case .orderedDictionary: "collections.OrderedDict"
    case .rebuildTensor(let version): "torch._utils._rebuild_tensor" + (version > 1 ? "_v\(version)" : "")
    case .rebuildParameter(let hasState): "torch._utils._rebuild_parameter" + (hasState ? "_with_state" : "")
    case .rebuildFromType: "torch._tensor._rebuild_from_type_v2"
    case .parameter: "torch.nn.parameter.Parameter"
    case .size: "torch.Size"
    case .device: "torch.device"
    case .storageClass(let element): element.map { "torch.\($0.storageName)" } ?? "torch.UntypedStorage"
    case .element(let element): "torch.\(element.rawValue)"
    }
  }
}
