/// A value of a pickle. What holds other values refers to them by number in ``Pickle``, so that nothing nests: however a file
/// ties its values together, releasing and walking them takes no recursion.
enum PickleValue {
  case none
  case boolean(Bool)
  case integer(Int)
  case string(String)
  case global(PyTorchGlobal)
  /// A name of Python that means nothing here, as `module.name`. It is never looked up.
  case unknown(String)
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case storage(PyTorchStorage)
  case tensor(Int)
  /// A value of which only its kind is kept, for example `a number`: nothing that is read needs more. It is never built.
  case opaque(String)

  /// A value of a kind that is described by that of another, cut so that such descriptions do not grow.
  static func unread(_ kind: String) -> PickleValue { .opaque(String(kind.prefix(160))) }

  /// Stands for the result of a call that is never made.
  static func made(by name: String) -> PickleValue { .unread("what '\(name)' would make if it were run") }

  /// The kind, for messages.
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

/// What a pickle has described.
struct Pickle {
  /// The first is the empty one.
  var tuples: [[PickleValue]] = [[]]
  var lists: [[PickleValue]] = []
  var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  var tensors: [PyTorchTensor] = []
  /// The bytes of an element, by the keys of the storages that are referred to; honest files have one size for each.
  var storageSizes: [Name: Set<Int>] = [:]
}

/// The only names of Python that mean something here: none of them is run, each says how to read what follows.
enum PyTorchGlobal: CustomStringConvertible {
  case orderedDictionary
  /// `_rebuild_tensor` (storage, offset, shape, strides), of version 2 (…, requires_grad, hooks) or 3 (…, element type).
  case rebuildTensor(version: Int)
  /// (tensor, requires_grad, hooks), or with a state besides.
  case rebuildParameter(hasState: Bool)
  /// (function, class, arguments, state), where the function is one of those above.
  case rebuildFromType
  /// The class itself, as PyTorch before 0.4 calls it: (tensor), or (tensor, requires_grad).
  case parameter
  case size
  case device
  /// The class of storages of an element type; nil for plain bytes.
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

  /// Whether it makes a tensor of a storage or of another tensor.
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
