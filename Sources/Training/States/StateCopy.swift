import Checkpoints
import Compute
import Formats
import Models
import NN
import Support

extension RunFolder {
  /// Training state of a run on the device.
  struct State {
    let store: ParameterStore
    let optimizer: Optimizer
    let average: WeightAverage?
    let lookahead: Lookahead?

    /// Blocks of memory that hold the state, with their names.
    fileprivate var arenas: [(part: StatePart, arena: Tensor)] {
      var all: [(StatePart, Tensor)] = [(.weights, store.weightsArena), (.statistics, store.stateArena)]
      all += optimizer.state.map { (.optimizer($0.name), $0.arena) }
      if let average {
        all += [(.averageWeights, average.model.store.weightsArena), (.averageStatistics, average.model.store.stateArena)]
      }
      if let lookahead { all.append((.slow, lookahead.slow)) }
      if let scale = optimizer.lossScale { all.append((.lossScale, scale)) }
      return all
    }
  }
}

/// Block of memory of a training state.
enum StatePart: Hashable, Sendable {
  case weights, statistics
  case optimizer(String)
  case averageWeights, averageStatistics, slow, lossScale
}

/// Copy of a training state on its way from the device to the host. The device goes on with what is enqueued later.
struct StateCopy {
  private let readbacks: [(part: StatePart, readback: any Readback)]
  private let layout: StoreLayout

  /// Starts the copy, after everything that is enqueued.
  /// - Throws: errors of the backend.
  init(of state: RunFolder.State) throws {
    layout = state.store.hostLayout
    readbacks = try state.arenas.map { ($0.part, try state.store.backend.readLater($0.arena)) }
  }

  /// Whether everything has arrived; never waits.
  var isReady: Bool { readbacks.allSatisfy { $0.readback.isReady } }

  /// Waits for everything.
  /// - Throws: errors of the backend.
  func wait() throws -> HostState {
    let parts = try readbacks.map { ($0.part, try $0.readback.wait()) }
    return HostState(arenas: Dictionary(uniqueKeysWithValues: parts), layout: layout)
  }
}

/// Training state in ordinary memory.
struct HostState: Sendable {
  fileprivate let arenas: [StatePart: HostTensor]
  fileprivate let layout: StoreLayout

  /// Tensors under torchvision's names and in its layouts; those beside weights and running statistics have a word before the name.
  var tensors: [(name: String, tensor: HostTensor)] {
    func prefixed(_ word: String, _ tensors: [(name: String, tensor: HostTensor)]) -> [(name: String, tensor: HostTensor)] {
      tensors.map { ("\(word).\($0.name)", $0.tensor) }
    }
    var all: [(name: String, tensor: HostTensor)] = []
    if let weights = arenas[.weights], let statistics = arenas[.statistics] { all += layout.dictionary(of: weights, statistics) }
    for case (.optimizer(let word), let arena) in arenas.sorted(by: { "\($0.key)" < "\($1.key)" }) {
      all += prefixed(word, layout.dictionary(of: arena))
    }
    if let weights = arenas[.averageWeights], let statistics = arenas[.averageStatistics] {
      all += prefixed(StateNames.average, layout.dictionary(of: weights, statistics))
    }
    if let slow = arenas[.slow] { all += prefixed(StateNames.slow, layout.dictionary(of: slow)) }
    if let scale = arenas[.lossScale] { all.append((StateNames.lossScale, scale)) }
    return all
  }
}

/// Words before the names of a state's tensors, and the name of the loss scale. Those of the optimizer are the names of its arenas.
enum StateNames {
  static let average = "average"
  static let slow = "slow"
  static let lossScale = "loss_scale"
}

/// State of a run at a step, with all that its file holds.
struct StateSnapshot: Sendable {
  /// Version of the form of a state's file. A change of the form raises it.
  static let version = 1

  let position: RunFolder.Position
  let configuration: RunConfiguration
  let state: HostState

  /// Keys of the metadata.
  enum Key {
    static let version = "state"
    static let configuration = "configuration"
  }

  /// Writes the state. Its checksums are those of all safetensors files here.
  /// - Throws: ``Failure`` of kind ``Failure/Kind/diverged`` for numbers that are not finite, and if the file cannot be written. A
  ///   file that was there stays then.
  func write(to path: String) throws {
    let tensors = state.tensors
    try StateCheck.requireNumbers(tensors, in: path)
    try Safetensors.write(
      tensors,
      metadata: [
        Weights.positionKey: try position.jsonText(), Key.version: "\(Self.version)",
        Key.configuration: try configuration.jsonText(),
      ], to: path)
  }
}

/// Checks of numbers that a run saves and goes on from.
enum StateCheck {
  /// Checks that all values are finite, and that variances are not negative.
  /// - Throws: ``Failure`` that names the tensor.
  static func requireNumbers(_ tensors: some Sequence<(name: String, tensor: HostTensor)>, in path: String) throws {
    for (name, tensor) in tensors {
      guard tensor.isFinite else {
        throw Failure(.diverged, about: path, "tensor '\(shortened(name))' has values that are not finite numbers")
      }
      if name.hasSuffix(".running_var"), tensor.doubles.contains(where: { $0 < 0 }) {
        throw Failure(.damagedFile, about: path, "tensor '\(shortened(name))' has negative variances: it is damaged")
      }
    }
  }
}
