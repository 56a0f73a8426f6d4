import Checkpoints
import Compute
import Formats
import Foundation
import Models
import NN
import Support

/// Folder with the files of a training run: `config.json`, `metrics.jsonl`, `layers.jsonl`, `last.safetensors`,
/// `best.safetensors`, and `resume.safetensors`, from which the run resumes.
public struct RunFolder {
  /// Path of the folder, as it was given.
  public let path: String
  /// Folders that this value created, the outermost first.
  private let newFolders: [String]
  /// Names that were in the folder before; nil for the folder of an existing run.
  private let oldNames: Set<String>?

  /// Path of the run's options, a ``RunConfiguration`` as JSON.
  public var configurationPath: String { "\(path)/config.json" }
  /// Path of the metrics, one ``TrainingEvent`` a line as JSON.
  public var metricsPath: String { "\(path)/metrics.jsonl" }
  /// Path of the weights after the last epoch, or at the stop.
  public var lastPath: String { "\(path)/last.safetensors" }
  /// Path of the weights of the best epoch; see ``RunConfiguration/watch``.
  public var bestPath: String { "\(path)/best.safetensors" }
  /// Path of the training state from which the run resumes: weights, optimizer state and position.
  public var resumePath: String { "\(path)/resume.safetensors" }

  /// Beginning of the names of TensorBoard's files.
  package static let eventPrefix = "events.out.tfevents."

  /// Creates the folder for a new run. A folder in which a run never saved anything is used again.
  /// - Throws: ``Failure`` if the folder holds a run already or cannot be created.
  public init(creating path: String) throws {
    self.path = path
    newFolders = Folder.missing(path)
    oldNames = Set(InputFile.isFolder(path) ? try Folder.entries(path) : [])
    if holdsState {
      throw Failure(
        .invalidSetting, "\(path) holds a run already",
        remedy: "choose another \(Setting.output), or go on with it by \(Setting.resume, path)")
    }
    if InputFile.exists(lastPath) {
      throw Failure(
        .invalidSetting, "\(path) holds a run's weights already", remedy: "choose another \(Setting.output)")
    }
    try Folder.make(path)
  }

  /// Opens the folder of an existing run.
  public init(existing path: String) { (self.path, newFolders, oldNames) = (path, [], nil) }

  /// Removes the folders that this value created, as far as they are empty.
  public func discardIfEmpty() {
    // The system refuses to remove a folder that holds anything.
    for folder in newFolders.reversed() { rmdir(folder) }
  }

  /// Removes the settings and the log of a run that has saved nothing, and folders that are then empty. Files and folders that
  /// were there before this value was made stay.
  /// - Precondition: the run holds the folder's lock, so that the files are its own.
  func discardIfUnused() {
    if [resumePath, lastPath, bestPath].contains(where: InputFile.exists) { return }
    let own: Set = ["config.json", "metrics.jsonl", "layers.jsonl", "sessions.json"]
    if let oldNames, let names = try? Folder.entries(path) {
      for name in names where !oldNames.contains(name) && (own.contains(name) || name.hasPrefix(Self.eventPrefix)) {
        unlink("\(path)/\(name)")
      }
    }
    discardIfEmpty()
  }

  /// Whether there is a training state to resume from.
  public var holdsState: Bool { InputFile.exists(resumePath) }

  /// Returns a path under `runs/` that no run has taken: the name, or the name and a number.
  public static func unused(named name: String) -> String {
    let candidates = sequence(first: 1) { $0 + 1 }.lazy.map { $0 == 1 ? "\(home)/\(name)" : "\(home)/\(name)-\($0)" }
    return candidates.first { !InputFile.exists($0) } ?? "\(home)/\(name)"
  }

  func write(_ configuration: RunConfiguration) throws {
    try AtomicFile.write(try configuration.json(), to: configurationPath)
  }

  /// Reads the settings of the run.
  /// - Throws: ``Failure`` if there is no run, or if its configuration is damaged, is of a later version, or makes no sense.
  public func configuration() throws -> RunConfiguration {
    let bytes: [UInt8]
    do { bytes = try InputFile(configurationPath).read() } catch let failure as Failure {
      throw Failure(failure.kind, "there is no run to resume in \(path): \(failure)")
    }
    return try RunConfiguration(json: Data(bytes), path: configurationPath)
  }

  /// Position of a run: all it needs, besides tensors, to go on as if it had not stopped.
  struct Position: Hashable, Codable {
    /// Number of steps done; `epoch` is the number of epochs trained and validated.
    var step = 0
    /// Number of the steps that had images; nil for all.
    var updates: Int?
    var epoch = 0
    /// Σ loss, Σ correct and number of images of the current epoch.
    var lossSum = 0.0
    var hits = 0.0
    var images = 0
    var bestAccuracy = -1.0
    /// Validation loss of the best epoch, and its number from 1; nil if there is none, or an earlier version saved the run.
    var bestLoss: Double?
    var bestEpoch: Int?
    /// Number of epochs since the watched figure improved, if the run ends after some.
    var staleEpochs: Int?

    /// Whether a run can have reached these sums. More than 2⁵³ images could not be counted exactly.
    var isPossible: Bool {
      // The shares of mixed labels are rounded, so their sum may exceed the number of images slightly.
      let mostHits = Double(images) * 1.001
      return (0...1 << 53).contains(images) && (0...mostHits).contains(hits) && lossSum >= 0 && lossSum.isFinite
        && (-1...1).contains(bestAccuracy) && (0...max(0, epoch)).contains(staleEpochs ?? 0) && step >= 0
        && (updates.map { (0...step).contains($0) } ?? true)
        && (bestLoss.map { $0 >= 0 && $0.isFinite } ?? true) && (bestEpoch.map { (1...max(1, epoch)).contains($0) } ?? true)
    }
  }

  private static let lossScaleName = "loss_scale"
  private static let averageName = "average"
  private static let slowName = "slow"

  /// Training state of a run on the device.
  struct State {
    let store: ParameterStore
    let optimizer: Optimizer
    let average: WeightAverage?
    let lookahead: Lookahead?
  }

  func save(_ position: Position, _ state: State) throws {
    var position = position
    position.updates = state.optimizer.steps
    var tensors = try state.store.stateDictionary()
    func add(_ name: String, _ more: [(name: String, tensor: HostTensor)]) {
      tensors += more.map { ("\(name).\($0.name)", $0.tensor) }
    }
    for (name, arena) in state.optimizer.state { add(name, try state.store.dictionary(of: arena)) }
    if let average = state.average { add(Self.averageName, try average.model.store.stateDictionary()) }
    if let lookahead = state.lookahead { add(Self.slowName, try state.store.dictionary(of: lookahead.slow)) }
    if let scale = state.optimizer.lossScale { tensors.append((Self.lossScaleName, try state.store.backend.download(scale))) }
    try Safetensors.write(tensors, metadata: [Weights.positionKey: try Weights.encode(position)], to: resumePath)
  }

  /// Checks a saved position.
  /// - Throws: ``Failure`` if the run's options and data cannot have led to it.
  func check(_ position: Position, stepsPerEpoch: Int, totalSteps: Int) throws {
    guard (0...RunConfiguration.mostEpochs).contains(position.epoch), position.isPossible else { throw damaged }
    let begun = position.epoch * stepsPerEpoch
    if begun >= totalSteps { return }  // Finished.
    guard (begun...min(totalSteps, begun + stepsPerEpoch)).contains(position.step) else {
      throw Failure(
        .mismatch,
        "\(resumePath) was saved at step \(position.step) of another data set or with other options than "
          + "\(configurationPath) has now",
        remedy: "restore them, or begin a new run")
    }
  }

  private var damaged: Failure {
    Failure(.damagedFile, "\(resumePath) does not say where the run stands: it is damaged; begin a new run")
  }

  /// Keeps other processes from training in the folder until the lock is released.
  func lock() throws -> Folder.Lock {
    guard let lock = try Folder.Lock(path) else {
      throw Failure(
        .busy, "another process is training in \(path)",
        remedy: "wait for its end, or choose another \(Setting.output)")
    }
    return lock
  }

  func load(into state: State) throws -> Position {
    guard holdsState else {
      throw Failure(
        .notFound, "there is nothing to resume in \(path), no \(resumePath)", remedy: "begin a new run")
    }
    let file = try Safetensors.read(resumePath)
    guard let text = file.metadata[Weights.positionKey],
      let position = try? JSONDecoder().decode(Position.self, from: Data(text.utf8))
    else { throw damaged }
    var rest = file.tensors
    if let scale = state.optimizer.lossScale {
      guard let saved = rest.removeValue(forKey: Self.lossScaleName), saved.shape == scale.shape, saved.type == .float32 else {
        throw damaged
      }
      try saved.bytes.withUnsafeBytes { try state.store.backend.write($0, to: scale) }
    }
    /// Removes and returns the tensors that were saved under a name.
    func take(_ name: String) -> [String: HostTensor] {
      let found = rest.filter { $0.key.hasPrefix("\(name).") }
      for key in found.keys { rest[key] = nil }
      return Dictionary(uniqueKeysWithValues: found.map { (String($0.key.dropFirst(name.count + 1)), $0.value) })
    }
    // Other options, for example another optimizer or an average, have other training state.
    do {
      for (name, arena) in state.optimizer.state { try state.store.load(take(name), into: arena) }
      if let lookahead = state.lookahead { try state.store.load(take(Self.slowName), into: lookahead.slow) }
      if let average = state.average { try average.model.store.load(take(Self.averageName)) }
      try state.store.load(rest)
    } catch let failure as Failure {
      throw Failure(
        failure.kind,
        "\(resumePath) is damaged, or was saved with other options than \(configurationPath) has now: \(failure)")
    }
    state.optimizer.steps = position.updates ?? position.step
    return position
  }
}
