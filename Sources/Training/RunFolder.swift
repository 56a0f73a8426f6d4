import Compute
import Formats
import Foundation
import NN

/// The files of a training run: `config.json`, `metrics.jsonl`, `last.safetensors`, `best.safetensors`, and `resume.safetensors`,
/// from which the run goes on.
public struct RunFolder {
  public let path: String

  public var configurationPath: String { "\(path)/config.json" }
  public var metricsPath: String { "\(path)/metrics.jsonl" }
  public var lastPath: String { "\(path)/last.safetensors" }
  public var bestPath: String { "\(path)/best.safetensors" }
  public var resumePath: String { "\(path)/resume.safetensors" }

  /// Makes the folder for a new run.
  /// - Throws: ``Failure`` if it holds a run already or cannot be made.
  public init(creating path: String, _ configuration: RunConfiguration) throws {
    self.path = path
    if FileManager.default.fileExists(atPath: "\(path)/config.json") {
      throw Failure("\(path) holds a run already: choose another --output, or go on with it by --resume \(path)")
    }
    do { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) } catch {
      throw Failure("cannot make the folder \(path) for the run: \(error.localizedDescription)")
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    try AtomicFile.write(String(decoding: try encoder.encode(configuration), as: UTF8.self) + "\n", to: configurationPath)
  }

  /// The folder of a run that was begun.
  public init(existing path: String) { self.path = path }

  /// A path under `runs/` that no run has taken: the name, or the name and a number.
  public static func unused(named name: String) -> String {
    let candidates = sequence(first: 1) { $0 + 1 }.lazy.map { $0 == 1 ? "runs/\(name)" : "runs/\(name)-\($0)" }
    return candidates.first { !FileManager.default.fileExists(atPath: $0) } ?? "runs/\(name)"
  }

  /// - Throws: ``Failure`` if there is no run or its configuration is damaged.
  public func configuration() throws -> RunConfiguration {
    guard let data = FileManager.default.contents(atPath: configurationPath) else {
      throw Failure("there is no run to resume in \(path): \(configurationPath) cannot be read")
    }
    do { return try JSONDecoder().decode(RunConfiguration.self, from: data) } catch {
      throw Failure("\(configurationPath) is damaged: mend it, or begin a new run")
    }
  }

  /// Where a run stands: all it needs besides weights and velocities to go on as if it had not stopped.
  struct Position: Hashable, Codable {
    /// Steps done, and epochs trained and validated.
    var step = 0
    var epoch = 0
    /// Σ loss, hits and images of the epoch under way.
    var lossSum = 0.0
    var hits = 0.0
    var images = 0
    var bestAccuracy = -1.0
  }

  private static let velocityPrefix = "velocity."

  func save(_ position: Position, _ store: ParameterStore, _ optimiser: SGD) throws {
    let velocities = try store.dictionary(of: optimiser.velocityArena).map { (Self.velocityPrefix + $0.name, $0.tensor) }
    try Safetensors.write(
      try store.stateDictionary() + velocities, metadata: ["position": try Weights.encode(position)], to: resumePath)
  }

  func load(into store: ParameterStore, _ optimiser: SGD) throws -> Position {
    let file = try Safetensors.read(resumePath)
    guard let text = file.metadata["position"],
      let position = try? JSONDecoder().decode(Position.self, from: Data(text.utf8))
    else { throw Failure("\(resumePath) does not say where the run stands: it is damaged; begin a new run") }
    var weights: [String: HostTensor] = [:]
    var velocities: [String: HostTensor] = [:]
    for (name, tensor) in file.tensors {
      if name.hasPrefix(Self.velocityPrefix) {
        velocities[String(name.dropFirst(Self.velocityPrefix.count))] = tensor
      } else {
        weights[name] = tensor
      }
    }
    do {
      try store.load(weights)
      try store.load(velocities, into: optimiser.velocityArena)
    } catch let failure as Failure { throw Failure("\(resumePath): \(failure)") }
    return position
  }
}
