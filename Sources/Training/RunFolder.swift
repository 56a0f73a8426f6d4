import Compute
import Formats
import Foundation
import Models
import NN

/// The files of a training run: `config.json`, `metrics.jsonl`, `last.safetensors`, `best.safetensors`, and `resume.safetensors`,
/// from which the run goes on.
public struct RunFolder {
  /// The folder, as it was given.
  public let path: String
  /// Whether this value made it.
  private let isNew: Bool

  /// The run's options, a ``RunConfiguration`` as JSON.
  public var configurationPath: String { "\(path)/config.json" }
  /// A ``TrainingEvent`` a line, as JSON.
  public var metricsPath: String { "\(path)/metrics.jsonl" }
  /// The weights after the last epoch or at the stop.
  public var lastPath: String { "\(path)/last.safetensors" }
  /// The weights of the epoch with the highest validation accuracy.
  public var bestPath: String { "\(path)/best.safetensors" }
  /// Weights, the optimiser's state and the position: what the run goes on from.
  public var resumePath: String { "\(path)/resume.safetensors" }

  /// Makes the folder for a new run. One in which a run never got to save anything is taken over.
  /// - Throws: ``Failure`` if it holds a run already or cannot be made.
  public init(creating path: String) throws {
    self.path = path
    isNew = !InputFile.exists(path)
    if holdsState {
      throw Failure("\(path) holds a run already: choose another --output, or go on with it by --resume \(path)")
    }
    if InputFile.exists(lastPath) { throw Failure("\(path) holds a run's weights already: choose another --output") }
    try Folder.make(path)
  }

  /// The folder of a run that was begun.
  public init(existing path: String) { (self.path, isNew) = (path, false) }

  /// Removes the folder again where this value made it and nothing is in it.
  public func discardIfUnused() { if isNew { rmdir(path) } }

  /// Whether there is something to go on from.
  public var holdsState: Bool { InputFile.exists(resumePath) }

  /// A path under `runs/` that no run has taken: the name, or the name and a number.
  public static func unused(named name: String) -> String {
    let candidates = sequence(first: 1) { $0 + 1 }.lazy.map { $0 == 1 ? "runs/\(name)" : "runs/\(name)-\($0)" }
    return candidates.first { !InputFile.exists($0) } ?? "runs/\(name)"
  }

  func write(_ configuration: RunConfiguration) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    try AtomicFile.write(String(decoding: try encoder.encode(configuration), as: UTF8.self) + "\n", to: configurationPath)
  }

  /// - Throws: ``Failure`` if there is no run, or its configuration is damaged or makes no sense.
  public func configuration() throws -> RunConfiguration {
    let bytes: [UInt8]
    do { bytes = try InputFile(configurationPath).read() } catch {
      throw Failure("there is no run to resume in \(path): \(error)")
    }
    let configuration: RunConfiguration
    do { configuration = try JSONDecoder().decode(RunConfiguration.self, from: Data(bytes)) } catch {
      throw Failure("\(configurationPath) is damaged\(Self.place(of: error)): mend it, or begin a new run")
    }
    do { try configuration.validate() } catch { throw Failure("\(configurationPath): \(error)") }
    return configuration
  }

  /// What a decoder complained about, for example `, at 'model.classes'`; nothing where it does not say.
  private static func place(of error: any Error) -> String {
    func at(_ path: [any CodingKey]) -> String {
      path.isEmpty ? ", it is no JSON" : ", at '\(path.map(\.stringValue).joined(separator: "."))'"
    }
    return switch error as? DecodingError {
    case .keyNotFound(let key, let context): at(context.codingPath + [key])
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context): at(context.codingPath)
    default: ""
    }
  }

  /// Where a run stands: all it needs besides tensors to go on as if it had not stopped.
  struct Position: Hashable, Codable {
    /// Steps done, and epochs trained and validated.
    var step = 0
    /// Of the steps, those that had images; nil for all.
    var updates: Int?
    var epoch = 0
    /// Σ loss, hits and images of the epoch under way.
    var lossSum = 0.0
    var hits = 0.0
    var images = 0
    var bestAccuracy = -1.0

    /// Whether a run can have come to these sums; more images would not be counted exactly.
    var isPossible: Bool {
      // Shares of mixed labels are rounded.
      let mostHits = Double(images) * 1.001
      return (0...1 << 53).contains(images) && (0...mostHits).contains(hits) && lossSum >= 0 && lossSum.isFinite
        && (-1...1).contains(bestAccuracy) && step >= 0 && (updates.map { (0...step).contains($0) } ?? true)
    }
  }

  private static let positionKey = "position"
  private static let lossScaleName = "loss_scale"
  private static let averageName = "average"

  /// What a run goes on from, on the device.
  struct State {
    let store: ParameterStore
    let optimiser: Optimiser
    let average: WeightAverage?
  }

  func save(_ position: Position, _ state: State) throws {
    var position = position
    position.updates = state.optimiser.steps
    var tensors = try state.store.stateDictionary()
    func add(_ name: String, _ more: [(name: String, tensor: HostTensor)]) {
      tensors += more.map { ("\(name).\($0.name)", $0.tensor) }
    }
    for (name, arena) in state.optimiser.state { add(name, try state.store.dictionary(of: arena)) }
    if let average = state.average { add(Self.averageName, try average.model.store.stateDictionary()) }
    if let scale = state.optimiser.lossScale { tensors.append((Self.lossScaleName, try state.store.backend.download(scale))) }
    try Safetensors.write(tensors, metadata: [Self.positionKey: try Weights.encode(position)], to: resumePath)
  }

  /// Whether a file with this metadata is what ``save(_:_:)`` writes.
  static func isState(_ metadata: [String: String]) -> Bool { metadata[positionKey] != nil }

  /// - Throws: ``Failure`` for a position that the run's options and data cannot have led to.
  func check(_ position: Position, stepsPerEpoch: Int, totalSteps: Int) throws {
    guard (0...RunConfiguration.mostEpochs).contains(position.epoch), position.isPossible else { throw damaged }
    let begun = position.epoch * stepsPerEpoch
    if begun >= totalSteps { return }  // Finished.
    guard (begun...min(totalSteps, begun + stepsPerEpoch)).contains(position.step) else {
      throw Failure(
        "\(resumePath) was saved at step \(position.step) of another data set or with other options than \(configurationPath) has "
          + "now: restore them, or begin a new run")
    }
  }

  private var damaged: Failure {
    Failure("\(resumePath) does not say where the run stands: it is damaged; begin a new run")
  }

  /// Keeps other processes from training in the folder until the lock is dropped.
  func lock() throws -> Folder.Lock {
    guard let lock = try Folder.Lock(path) else {
      throw Failure("another process is training in \(path): wait for its end, or choose another --output")
    }
    return lock
  }

  func load(into state: State) throws -> Position {
    guard holdsState else { throw Failure("there is nothing to resume in \(path), no \(resumePath): begin a new run") }
    let file = try Safetensors.read(resumePath)
    guard let text = file.metadata[Self.positionKey],
      let position = try? JSONDecoder().decode(Position.self, from: Data(text.utf8))
    else { throw damaged }
    var rest = file.tensors
    if let scale = state.optimiser.lossScale {
      guard let saved = rest.removeValue(forKey: Self.lossScaleName), saved.shape == scale.shape, saved.type == .float32 else {
        throw damaged
      }
      try saved.bytes.withUnsafeBytes { try state.store.backend.write($0, to: scale) }
    }
    /// Takes out what was saved under a name.
    func take(_ name: String) -> [String: HostTensor] {
      let found = rest.filter { $0.key.hasPrefix("\(name).") }
      for key in found.keys { rest[key] = nil }
      return Dictionary(uniqueKeysWithValues: found.map { (String($0.key.dropFirst(name.count + 1)), $0.value) })
    }
    // Other options, an optimiser or an average for example, have other state.
    do {
      for (name, arena) in state.optimiser.state { try state.store.load(take(name), into: arena) }
      if let average = state.average { try average.model.store.load(take(Self.averageName)) }
      try state.store.load(rest)
    } catch let failure as Failure {
      throw Failure("\(resumePath) is damaged, or was saved with other options than \(configurationPath) has now: \(failure)")
    }
    state.optimiser.steps = position.updates ?? position.step
    return position
  }
}
