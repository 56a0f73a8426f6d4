import Checkpoints
import Compute
import Formats
import Foundation
import NN
import Support

/// Contents of a state's file, which were checked.
struct SavedState {
  let file: StateFile
  let position: RunFolder.Position
  /// Settings of the run when it was saved; nil for a run that an earlier version began.
  let configuration: RunConfiguration?
  fileprivate let tensors: [String: HostTensor]

  /// Failure of a state that a later version of the program wrote, in place of which no older one is used.
  struct Newer: Error { let failure: Failure }

  /// Reads a state.
  /// - Throws: ``Failure`` if it is damaged or holds impossible values; ``Newer``.
  fileprivate init(_ file: StateFile) throws {
    let contents = try Safetensors.read(file.path)
    (position, configuration) = try Self.facts(contents.metadata, hasChecksums: contents.hasChecksums, of: file)
    try StateCheck.requireNumbers(contents.tensors.lazy.map { (name: $0.key, tensor: $0.value) }, in: file.path)
    (self.file, tensors) = (file, contents.tensors)
  }

  /// Returns what the metadata of a state tell.
  fileprivate static func facts(
    _ metadata: [String: String], hasChecksums: Bool, of file: StateFile
  ) throws -> (position: RunFolder.Position, configuration: RunConfiguration?) {
    let isEarlier = file.step == nil
    if let text = metadata[StateSnapshot.Key.version], let version = Int(text), version > StateSnapshot.version {
      throw Newer(
        failure: Failure(
          .unsupported, about: file.path,
          "a newer version of this program wrote it: its form is \(version), and the newest that is known here is "
            + "\(StateSnapshot.version)", remedy: "go on with that version of the program"))
    }
    guard isEarlier || (metadata[StateSnapshot.Key.version] == "\(StateSnapshot.version)" && hasChecksums),
      let text = metadata[Weights.positionKey],
      let position = try? JSONDecoder().decode(RunFolder.Position.self, from: Data(text.utf8)),
      position.isPossible, isEarlier || position.step == file.step
    else {
      throw Failure(.damagedFile, about: file.path, "it does not say where the run stands, or says something impossible")
    }
    let configuration = try metadata[StateSnapshot.Key.configuration].map {
      try RunConfiguration(json: Data($0.utf8), path: file.path)
    }
    guard isEarlier || configuration != nil else {
      throw Failure(.damagedFile, about: file.path, "it does not hold the settings of the run")
    }
    return (position, configuration)
  }

  /// Loads the state onto the device.
  /// - Throws: ``Failure`` if it is that of a run with other options; errors of the backend.
  func load(into state: RunFolder.State, of folder: RunFolder) throws {
    var rest = tensors
    /// Removes and returns the tensors that were saved under a word.
    func take(_ word: String) -> [String: HostTensor] {
      let found = rest.filter { $0.key.hasPrefix("\(word).") }
      for key in found.keys { rest[key] = nil }
      return Dictionary(uniqueKeysWithValues: found.map { (String($0.key.dropFirst(word.count + 1)), $0.value) })
    }
    // Other options, for example another optimizer or an average, have other training state.
    do {
      if let scale = state.optimizer.lossScale {
        let saved = rest.removeValue(forKey: StateNames.lossScale)
        guard let saved, saved.shape == scale.shape, saved.type == .float32 else {
          throw Failure(.mismatch, "it has no loss scale")
        }
        try saved.bytes.withUnsafeBytes { try state.store.backend.write($0, to: scale) }
      }
      for (name, arena) in state.optimizer.state { try state.store.load(take(name), into: arena) }
      if let lookahead = state.lookahead { try state.store.load(take(StateNames.slow), into: lookahead.slow) }
      if let average = state.average { try average.model.store.load(take(StateNames.average)) }
      try state.store.load(rest)
    } catch let failure as Failure {
      throw Failure(
        failure.kind,
        "\(file.path) is damaged, or was saved with other options than \(folder.configurationPath) has now: \(failure)")
    }
    state.optimizer.steps = position.updates ?? position.step
  }
}

extension RunFolder {
  /// Reads the newest state that is whole.
  /// - Returns: the state, and the newer ones that are damaged, with the reasons.
  /// - Throws: ``Failure`` if there is no state, none is whole, or a later version of the program wrote the newest one.
  func newestState() throws -> (state: SavedState, damaged: [(file: StateFile, failure: Failure)]) {
    try newest { try SavedState($0) }
  }

  /// Reads what the newest state that has a whole header tells, without its tensors.
  /// - Throws: the errors of ``newestState()``.
  func newestFacts() throws -> (position: Position, configuration: RunConfiguration?) {
    try newest { file in
      let header = try Safetensors.readMetadata(file.path)
      return try SavedState.facts(header.metadata, hasChecksums: header.hasChecksums, of: file)
    }.state
  }

  /// Kinds of failures of a file that an older one can make up for.
  private static let kindsOfDamage: Set<Failure.Kind> = [.damagedFile, .diverged, .unsupported, .invalidSetting]

  private func newest<Result>(
    _ read: (StateFile) throws -> Result
  ) throws -> (state: Result, damaged: [(file: StateFile, failure: Failure)]) {
    var damaged: [(file: StateFile, failure: Failure)] = []
    for file in states {
      do { return (try read(file), damaged) } catch let newer as SavedState.Newer {
        throw newer.failure
      } catch let failure as Failure where Self.kindsOfDamage.contains(failure.kind) {
        damaged.append((file, failure))
      } catch let failure as Failure where failure.kind == .inputOutput {
        // A disk that refuses for a moment must not cost the newest state.
        throw Failure(
          .inputOutput, about: file.path, failure.problem,
          remedy: "try again; if that does not help, remove the file to go on from the state before it")
      }
    }
    guard let first = damaged.first else {
      throw Failure(
        .notFound, "there is nothing to resume in \(path), no \(statePath)", remedy: "begin a new run")
    }
    let weights: Message? =
      InputFile.exists(lastPath) ? "begin a new run from its weights by \(Setting.initialWeights, lastPath)" : "begin a new run"
    let reasons = damaged.map { "\($0.failure)" }.joined(separator: "; ")
    throw Failure(first.failure.kind, "no state of the run is whole: \(reasons)", remedy: weights)
  }
}
