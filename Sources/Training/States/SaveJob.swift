import Compute
import Formats
import Glibc
import Support

/// File that a run writes before its state: weights for use, or a text.
struct RunFile: Sendable {
  enum Contents: Sendable {
    case weights([(name: String, tensor: HostTensor)], metadata: [String: String])
    case text(String)
  }

  let path: String
  let contents: Contents

  /// Writes the file.
  /// - Throws: ``Failure`` of kind ``Failure/Kind/diverged`` for weights that are not finite, and if the file cannot be written. A file
  ///   that was there stays then.
  func write() throws {
    switch contents {
    case .weights(let tensors, let metadata):
      try StateCheck.requireNumbers(tensors, in: path)
      try Safetensors.write(tensors, metadata: metadata, to: path)
    case .text(let text): try AtomicFile.write(text, to: path)
    }
  }
}

/// Writing of a state, and of the files before it, on any thread.
struct SaveJob: Sendable {
  let folder: RunFolder
  let lock: Folder.Lock
  let files: [RunFile]
  /// nil to write the files alone.
  let snapshot: StateSnapshot?
  /// Logs that the state is not to be ahead of.
  let logs: [AppendingFile]
  /// Number of states that are kept.
  let keeping: Int
  /// States that are known to be damaged, which a new state makes needless.
  let damaged: [StateFile]

  /// Result of a job.
  struct Outcome: Sendable {
    /// Position of the state that is safe now; nil if there is none.
    var saved: RunFolder.Position?
    /// Whether the job was to write a state and has not.
    var lacksState: Bool
    /// Files that are not written yet.
    var rest: [RunFile]
    /// Why something is not written; nil if everything is.
    var failure: Failure?
  }

  /// Writes everything in order, up to the first failure.
  func run() -> Outcome {
    var outcome = Outcome(lacksState: snapshot != nil, rest: files)
    do {
      if lock.isReplaced(at: folder.path) {
        throw Failure(
          .mismatch, about: folder.path,
          "the folder of the run was moved or removed while it trained, and another one is in its place",
          remedy: "put it back, and go on by \(Setting.resume)")
      }
      while let file = outcome.rest.first {
        try file.write()
        outcome.rest.removeFirst()
      }
      for log in logs { try log.synchronize() }
      if let snapshot {
        try snapshot.write(to: folder.path(ofStep: snapshot.position.step))
        (outcome.saved, outcome.lacksState) = (snapshot.position, false)
        folder.removeStates(before: snapshot.position.step, keeping: keeping, damaged)
      }
    } catch { outcome.failure = error as? Failure ?? Failure(.inputOutput, "\(error)") }
    return outcome
  }
}

extension RunFolder {
  /// Removes the states that a new one makes needless: those that are damaged, the one of an earlier version, and the oldest beyond
  /// the number that is kept. A state that the system does not remove stays, which does no harm.
  fileprivate func removeStates(before step: Int, keeping count: Int, _ damaged: [StateFile]) {
    let older = states.filter { $0.step != step && !damaged.contains($0) && ($0.step ?? -1) < step }
    let needless = older.enumerated().filter { $0.offset >= count - 1 || $0.element.step == nil }.map(\.element)
    for file in needless + damaged where file.step != step { unlink(file.path) }
  }
}
