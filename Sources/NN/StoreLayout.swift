import Compute

/// Places of a store's tensors within its arenas, by which arenas that were copied to the host become tensors under torchvision's
/// names and in its layouts. It needs no device, so another thread can use it.
///
/// ```swift
/// let layout = session.network.store.hostLayout
/// let weights = try session.network.store.backend.download(session.network.store.weightsArena)
/// for (name, tensor) in layout.dictionary(of: weights) { print(name, tensor.shape) }
/// ```
public struct StoreLayout: Sendable {
  private struct Place {
    let name: String
    let kind: Parameter.Kind
    let shape: Shape
    /// Offset in bytes in the arena of the weights, or in that of the running statistics.
    let offset: Int

    func tensor(in arena: HostTensor) -> HostTensor {
      let end = offset + shape.count * arena.type.byteCount
      return kind.torchLayout(HostTensor(shape: shape, type: arena.type, bytes: Array(arena.bytes[offset..<end])), shape)
    }
  }

  private let places: [Place]

  /// - Precondition: the store is allocated.
  init(of store: ParameterStore) {
    let trained = store.layout(store.parameters, on: store.backend).places
    let estimates = store.layout(store.entries.filter { !$0.kind.isTrained }, on: store.backend).places
    let offsets = Dictionary(uniqueKeysWithValues: (trained + estimates).map { ($0.entry.name, $0.offset) })
    places = store.entries.compactMap { entry in
      offsets[entry.name].map { Place(name: entry.name, kind: entry.kind, shape: entry.shape, offset: $0) }
    }
  }

  /// Returns the tensors of an arena with the weights' layout, in the order of torchvision.
  public func dictionary(of arena: HostTensor) -> [(name: String, tensor: HostTensor)] {
    places.filter(\.kind.isTrained).map { ($0.name, $0.tensor(in: arena)) }
  }

  /// Returns all weights and running statistics, in the order of torchvision.
  /// - Parameters:
  ///   - weights: the arena of the weights.
  ///   - state: the arena of the running statistics.
  public func dictionary(of weights: HostTensor, _ state: HostTensor) -> [(name: String, tensor: HostTensor)] {
    places.map { ($0.name, $0.tensor(in: $0.kind.isTrained ? weights : state)) }
  }
}

extension ParameterStore {
  /// Places of the tensors in the arenas.
  /// - Precondition: the store is allocated.
  public var hostLayout: StoreLayout { StoreLayout(of: self) }
}
