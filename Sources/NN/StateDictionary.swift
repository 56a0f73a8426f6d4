import Compute
import Support

extension Parameter {
  /// Shape in torchvision's layout: [K,C,R,S] for a filter, [out,in] for a linear weight.
  public var torchShape: Shape { kind.torchShape(shape) }

  /// Converts this project's layout to torchvision's.
  func torchLayout(_ host: HostTensor) -> HostTensor { kind.torchLayout(host, shape) }

  /// Converts torchvision's layout to this project's.
  func ownLayout(_ host: HostTensor) -> HostTensor {
    switch kind {
    case .filter: host.outerInnerSwapped(shape[3], shape[2], shape[0] * shape[1], to: shape)
    case .linearWeight: host.outerInnerSwapped(shape[1], 1, shape[0], to: shape)
    case .vector, .estimate: host
    }
  }
}

extension Parameter.Kind {
  /// Returns torchvision's shape of a tensor that has this one here.
  func torchShape(_ shape: Shape) -> Shape {
    switch self {
    case .filter: [shape[3], shape[2], shape[0], shape[1]]
    case .linearWeight: [shape[1], shape[0]]
    case .vector, .estimate: shape
    }
  }

  /// Converts this project's layout to torchvision's.
  func torchLayout(_ host: HostTensor, _ shape: Shape) -> HostTensor {
    switch self {
    case .filter: host.outerInnerSwapped(shape[0] * shape[1], shape[2], shape[3], to: torchShape(shape))
    case .linearWeight: host.outerInnerSwapped(shape[0], 1, shape[1], to: torchShape(shape))
    case .vector, .estimate: host
    }
  }
}

extension ParameterStore {
  /// Returns all weights and running statistics under torchvision's names, in its order and layouts, in the backend's precision.
  public func stateDictionary() throws -> [(name: String, tensor: HostTensor)] {
    try entries.map { ($0.name, $0.torchLayout(try backend.download($0.value))) }
  }

  /// Returns the trained parameters' parts of an arena with the weights' layout, such as ``gradientsArena`` or an optimizer's
  /// velocity, under torchvision's names and in its layouts.
  public func dictionary(of arena: Tensor) throws -> [(name: String, tensor: HostTensor)] {
    try views(of: arena).map { ($0.parameter.name, $0.parameter.torchLayout(try backend.download($0.tensor))) }
  }

  /// Loads weights and running statistics with torchvision's names and layouts; `num_batches_tracked` is ignored.
  /// - Throws: ``Failure`` for a name that is missing or unknown and for a wrong shape or type. In these cases nothing has
  ///   changed.
  public func load(_ dictionary: [String: HostTensor]) throws {
    try write(dictionary, to: entries.map { ($0, $0.value) })
  }

  /// Loads an arena with the weights' layout, as ``dictionary(of:)`` returns it.
  /// - Throws: the same errors as ``load(_:)``.
  public func load(_ dictionary: [String: HostTensor], into arena: Tensor) throws {
    try write(dictionary, to: try views(of: arena))
  }

  /// Sets one tensor, given in this project's layout.
  /// - Throws: ``Failure`` for an unknown name and for a wrong shape or type.
  public func assign(_ name: String, _ host: HostTensor) throws {
    guard let entry = self[name] else { throw Failure(.mismatch, "the model has no tensor '\(name)'") }
    try check(host, name: name, expected: entry.shape)
    try assign(host, to: entry.value)
  }

  /// Checks, without a device, that these are all the model's tensors, in torchvision's layouts; `num_batches_tracked` is
  /// ignored.
  /// - Throws: ``Failure`` that counts the tensors that are missing, unknown, of another shape and of another type, and names the
  ///   first few of each.
  public func check(_ dictionary: [String: HostTensor]) throws { try check(dictionary, holds: entries) }

  private func check(_ dictionary: [String: HostTensor], holds wanted: [Parameter]) throws {
    let known = Set(wanted.map(\.name))
    let found = wanted.compactMap { parameter in dictionary[parameter.name].map { (parameter: parameter, host: $0) } }
    let differing = found.filter { $0.host.shape != $0.parameter.torchShape }.map {
      "'\($0.parameter.name)' is \($0.host.shape), the model expects \($0.parameter.torchShape)"
    }
    let mistyped = found.filter { $0.host.type != .float32 && $0.host.type != .float64 }.map {
      "'\($0.parameter.name)' is \($0.host.type.rawValue), the model expects float32"
    }
    let complaints = [
      ("missing", wanted.map(\.name).filter { dictionary[$0] == nil }.map { "'\($0)'" }),
      (
        "that the model does not have",
        dictionary.keys.filter { !known.contains($0) && !$0.hasSuffix("num_batches_tracked") }.sorted().map { "'\($0)'" }
      ),
      ("of another shape", differing), ("of another type", mistyped),
    ].filter { !$0.1.isEmpty }.map { kind, names in
      "\(names.count) \(kind): \(names.prefix(3).joined(separator: ", "))" + (names.count > 3 ? ", …" : "")
    }
    guard complaints.isEmpty else {
      throw Failure(
        .mismatch,
        "these weights are not the model's, of whose \(wanted.count) tensors they hold \(found.count): "
          + "\(complaints.joined(separator: "; "))")
    }
  }

  private func write(_ dictionary: [String: HostTensor], to targets: [(parameter: Parameter, tensor: Tensor)]) throws {
    try check(dictionary, holds: targets.map(\.parameter))
    for (parameter, tensor) in targets {
      if let host = dictionary[parameter.name] { try assign(parameter.ownLayout(host), to: tensor) }
    }
  }

  private func check(_ host: HostTensor, name: String, expected: Shape) throws {
    if host.shape != expected {
      throw Failure(.mismatch, "tensor '\(name)' has the shape \(host.shape), the model expects \(expected)")
    }
    if host.type != .float32 && host.type != .float64 {
      throw Failure(.mismatch, "tensor '\(name)' is of type \(host.type.rawValue), the model expects float32")
    }
  }
}

extension HostTensor {
  /// Swaps the outer and the inner dimension: [a,b,c] → [c,b,a], given as `shape`. The operation is its own inverse. It turns
  /// [R·S,C,K] into [K,C,R·S], and it transposes if b = 1.
  fileprivate func outerInnerSwapped(_ a: Int, _ b: Int, _ c: Int, to shape: Shape) -> HostTensor {
    func swapped<Element: BitwiseCopyable>(_ source: [Element]) -> [Element] {
      [Element](unsafeUninitializedCapacity: source.count) { buffer, initialized in
        for i in 0..<a {
          for j in 0..<b {
            for k in 0..<c { buffer.initializeElement(at: (k * b + j) * a + i, to: source[(i * b + j) * c + k]) }
          }
        }
        initialized = source.count
      }
    }
    return type == .float64
      ? HostTensor(swapped(elements(as: Double.self)), shape: shape) : HostTensor(swapped(floats), shape: shape)
  }
}
