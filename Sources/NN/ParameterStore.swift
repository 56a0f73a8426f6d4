import Compute
import Support

/// All parameters of a model, by name, in three flat arenas: weights, their gradients, and the running statistics.
///
/// Layers declare their parameters through ``Scope``s. ``allocate(on:gradients:)`` then lays them out, each at a multiple of the
/// backend's alignment with zeros between. The optimizer can thus treat whole arenas in one operation, and a slice of an arena is
/// a tensor.
///
/// ```swift
/// let store = ParameterStore()
/// let head = LinearLayer(store.root / "fc", inputs: 64, outputs: 10)
/// try store.allocate(on: backend, seed: 1)
/// print(store.parameterCount)  // 650
/// ```
public final class ParameterStore {
  /// All tensors in the order of declaration, which is torchvision's.
  public private(set) var entries: [Parameter] = []
  private var names: Set<String> = []
  private var placed: (backend: any Backend, weights: Tensor, gradients: Tensor?, state: Tensor)?

  /// Creates a store without parameters.
  public init() {}

  /// Root scope, in which layers declare their parameters.
  public var root: Scope { Scope(store: self, path: "") }

  /// Entries that an optimizer trains, unless they are frozen.
  public var parameters: [Parameter] { entries.filter(\.kind.isTrained) }

  /// Number of trained values.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.shape.count } }

  /// Returns the entry with the given name.
  public subscript(name: String) -> Parameter? { entries.first { $0.name == name } }

  fileprivate func declare(_ entry: Parameter) -> Parameter {
    precondition(placed == nil, "[ParameterStore] \(entry.name) is declared after allocation")
    precondition(names.insert(entry.name).inserted, "[ParameterStore] \(entry.name) is declared twice")
    entries.append(entry)
    return entry
  }

  // MARK: Freezing

  /// Freezes layers: their parameters are not trained, and their batch normalization uses the running statistics, which stay as
  /// they are.
  /// - Parameter prefixes: names of layers or of parts of the network, for example `conv1` or `layer1`.
  /// - Throws: ``Failure`` for a prefix that no layer has, and if nothing would be left to train.
  public func freeze(_ prefixes: [String]) throws {
    for prefix in prefixes {
      for entry in try layers(prefix) { entry.isFrozen = true }
    }
    if parameters.allSatisfy(\.isFrozen) {
      throw Failure(.invalidSetting, "with \(prefixes.joined(separator: ", ")) frozen nothing is left to train")
    }
  }

  /// Freezes all layers, for passes that compute gradients of activations alone.
  package func freezeAll() {
    for entry in entries { entry.isFrozen = true }
  }

  /// Returns the entries of a layer, or of the layers of a part of the network.
  /// - Throws: ``Failure`` if there are none.
  public func layers(_ prefix: String) throws -> [Parameter] {
    let found = entries.filter { $0.isIn(prefix) }
    if !found.isEmpty { return found }
    let parts = Set(entries.compactMap { $0.name.split(separator: ".").first }).sorted().joined(separator: ", ")
    throw Failure(
      .invalidSetting,
      "no layer or part is called '\(prefix)': the parts are \(parts), and conv1 of layer1's first block is layer1.0.conv1")
  }

  /// Returns whether a parameter is the bias of a batch normalization: its layer has running statistics.
  func isNormalizationBias(_ parameter: Parameter) -> Bool {
    guard parameter.name.hasSuffix(".bias") else { return false }
    return names.contains("\(parameter.name.dropLast(5)).running_mean")
  }

  // MARK: Arenas

  /// Arena of all weights.
  /// - Precondition: the store is allocated.
  public var weightsArena: Tensor { arenas.weights }
  /// Arena of the gradients of all weights, at the weights' offsets.
  /// - Precondition: the store is allocated, with gradients.
  public var gradientsArena: Tensor {
    guard let gradients = arenas.gradients else { preconditionFailure("[ParameterStore] allocated without gradients") }
    return gradients
  }
  /// Arena of all running statistics.
  /// - Precondition: the store is allocated.
  public var stateArena: Tensor { arenas.state }
  /// Device that holds the arenas.
  /// - Precondition: the store is allocated.
  public var backend: any Backend { arenas.backend }

  private var arenas: (backend: any Backend, weights: Tensor, gradients: Tensor?, state: Tensor) {
    guard let placed else { preconditionFailure("[ParameterStore] used before allocate") }
    return placed
  }

  /// Lays the parameters out on a device. All arenas start with zeros.
  /// - Parameter gradients: whether to allocate an arena of gradients.
  /// - Throws: errors of the backend, for example a lack of memory.
  public func allocate(on backend: any Backend, gradients hasGradients: Bool = true) throws {
    let (trained, estimates) = (layout(parameters, on: backend).byteCount, layout(self.estimates, on: backend).byteCount)
    let weights = try zeros(trained, on: backend)
    let gradients = hasGradients ? try zeros(trained, on: backend) : nil
    try place(weights: weights, gradients: gradients, state: zeros(estimates, on: backend), on: backend)
  }

  private var estimates: [Parameter] { entries.filter { !$0.kind.isTrained } }

  /// Lays the parameters out in arenas that are there already, for example those of another store of the same network.
  /// - Precondition: the arenas are of the size that this store needs on this backend.
  /// - Throws: errors of the backend.
  package func place(weights: Tensor, gradients: Tensor?, state: Tensor, on backend: any Backend) throws {
    let (trained, estimates) = (layout(parameters, on: backend), layout(self.estimates, on: backend))
    for (entry, offset) in trained.places {
      entry.place(
        value: try view(of: entry, in: weights, at: offset, on: backend),
        gradient: try gradients.map { try view(of: entry, in: $0, at: offset, on: backend) })
    }
    for (entry, offset) in estimates.places {
      entry.place(value: try view(of: entry, in: state, at: offset, on: backend), gradient: nil)
    }
    placed = (backend, weights, gradients, state)
  }

  /// Lays the parameters out and draws their initial values.
  public func allocate(on backend: any Backend, seed: UInt64) throws {
    try allocate(on: backend)
    try initialize(seed: seed)
  }

  /// Draws the initial values on the host, the same for every backend. Each entry's values follow from (seed, its index among the
  /// entries).
  public func initialize(seed: UInt64) throws {
    for (index, entry) in entries.enumerated() {
      let values = entry.initializer.values(count: entry.shape.count, seed: seed, index: index)
      try assign(HostTensor(values, shape: entry.shape), to: entry.value)
    }
  }

  /// Returns views of an arena with the weights' layout (weights, gradients, a velocity), one per trained parameter.
  public func views(of arena: Tensor) throws -> [(parameter: Parameter, tensor: Tensor)] {
    try layout(parameters, on: backend).places.map { ($0, try view(of: $0, in: arena, at: $1, on: backend)) }
  }

  /// Returns the part of an arena with the weights' layout that belongs to consecutive trained parameters, as a tensor of one
  /// dimension.
  /// - Parameters:
  ///   - first: index of the first parameter among ``parameters``.
  ///   - last: index of the last parameter among ``parameters``.
  func slice(_ arena: Tensor, from first: Int, through last: Int) throws -> Tensor {
    let places = layout(parameters, on: backend).places
    let byteCount = places[last].offset + places[last].entry.shape.count * arena.type.byteCount - places[first].offset
    let storage = try backend.slice(arena.storage, offset: places[first].offset, byteCount: byteCount)
    return Tensor(shape: [byteCount / arena.type.byteCount], type: arena.type, storage: storage)
  }

  /// Sets the gradients of consecutive trained parameters to zero.
  /// - Precondition: the store is allocated, with gradients, and declared both parameters, the first one before.
  public func clearGradients(from first: Parameter, through last: Parameter) throws {
    let all = parameters
    guard let start = all.firstIndex(where: { $0 === first }), let end = all.firstIndex(where: { $0 === last }), start <= end
    else { preconditionFailure("[ParameterStore] \(first.name) … \(last.name)") }
    try backend.fill(try slice(gradientsArena, from: start, through: end), with: 0)
  }

  func assign(_ host: HostTensor, to tensor: Tensor) throws {
    try host.converted(to: tensor.type).bytes.withUnsafeBytes { try backend.write($0, to: tensor) }
  }

  // MARK: Layout

  /// Returns byte offsets and the size of the arena. The size is at least one unit of alignment, since backends need not support
  /// empty allocations.
  func layout(
    _ entries: [Parameter], on backend: any Backend
  ) -> (places: [(entry: Parameter, offset: Int)], byteCount: Int) {
    let unit = max(backend.alignment, backend.scalar.byteCount)
    var end = 0
    let places = entries.map { entry in
      defer { end += (entry.shape.count * backend.scalar.byteCount + unit - 1) / unit * unit }
      return (entry, end)
    }
    return (places, max(end, unit))
  }

  private func zeros(_ byteCount: Int, on backend: any Backend) throws -> Tensor {
    let arena = try backend.tensor([byteCount / backend.scalar.byteCount])
    try backend.fill(arena, with: 0)
    return arena
  }

  private func view(of entry: Parameter, in arena: Tensor, at offset: Int, on backend: any Backend) throws -> Tensor {
    let byteCount = entry.shape.count * arena.type.byteCount
    let storage = try backend.slice(arena.storage, offset: offset, byteCount: byteCount)
    return Tensor(shape: entry.shape, type: arena.type, storage: storage)
  }
}

/// A prefix of names in a store: `store.root / "layer1" / "0" / "conv1"` declares `layer1.0.conv1.weight`.
///
/// ```swift
/// let block = ParameterStore().root / "layer1" / "0"
/// let bias = block.declare("bias", [16], .vector, .constant(0))
/// print(bias.name)  // layer1.0.bias
/// ```
public struct Scope {
  let store: ParameterStore
  /// Names so far, joined by dots; empty at the root.
  public let path: String

  /// Returns the scope `name` within this one.
  public func child(_ name: String) -> Scope { Scope(store: store, path: join(name)) }

  /// Returns the scope `scope.name`.
  public static func / (scope: Scope, name: String) -> Scope { scope.child(name) }

  /// Declares a tensor.
  /// - Precondition: the name is new in its store, and the store is not yet allocated.
  public func declare(
    _ name: String, _ shape: Shape, _ kind: Parameter.Kind, _ initializer: Parameter.Initializer
  ) -> Parameter {
    store.declare(Parameter(name: join(name), shape: shape, kind: kind, initializer: initializer))
  }

  private func join(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}
