import Foundation
import Support

/// Folder with the files of a training run: `config.json`, `metrics.jsonl`, `layers.jsonl`, `last.safetensors`,
/// `best.safetensors`, and the states from which the run resumes, such as `state-00000468.safetensors` of step 468.
public struct RunFolder: Sendable {
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

  /// Returns the path of the file of a step in which a number was not finite; see ``FaultRecord``.
  public func faultPath(step: Int) -> String { "\(path)/\(Self.faultPrefix)\(step).safetensors" }

  private static let faultPrefix = "fault-step-"

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
        .invalidSetting, "\(path) holds a run's weights already, and no state to go on from",
        remedy: "choose another \(Setting.output), and begin from the weights by \(Setting.initialWeights, lastPath)")
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

  /// Removes the settings, the log and the first state of a run that has trained nothing, and folders that are then empty. Files and
  /// folders that were there before this value was made stay.
  /// - Precondition: the run holds the folder's lock, so that the files are its own.
  func discardIfUnused() {
    if holdsProgress { return }
    // A step at fault is kept with the settings and the log that led to it.
    if let names = try? Folder.entries(path), names.contains(where: { $0.hasPrefix(Self.faultPrefix) }) { return }
    let own: Set = ["config.json", "metrics.jsonl", "layers.jsonl", "sessions.json", Self.name(ofStep: 0)]
    if let oldNames, let names = try? Folder.entries(path) {
      for name in names where !oldNames.contains(name) && (own.contains(name) || name.hasPrefix(Self.eventPrefix)) {
        unlink("\(path)/\(name)")
      }
    }
    discardIfEmpty()
  }

  /// Whether anything is saved that was trained.
  var holdsProgress: Bool {
    InputFile.exists(lastPath) || InputFile.exists(bestPath) || states.contains { $0.step != 0 }
  }

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

  /// Keeps other processes from training in the folder until the lock is released.
  func lock() throws -> Folder.Lock {
    guard let lock = try Folder.Lock(path) else {
      throw Failure(
        .busy, "another process is training in \(path)",
        remedy: "wait for its end, or choose another \(Setting.output)")
    }
    return lock
  }
}
