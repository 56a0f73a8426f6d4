import Compute
import Glibc
import Support

/// Patience with a disk that refuses the files of a run.
public struct SavePatience: Hashable, Sendable {
  /// Seconds between two tries while training goes on.
  public var interval = 60.0
  /// Seconds of failures after which the run ends.
  public var limit = 3600.0
  /// Seconds of the pauses between tries at the end of the run, or at a stop.
  public var pauses = [0.5, 1, 2]
  /// Folder in which the last state is saved if the run's own folder still refuses it at the end; nil to give the state up.
  public var refuge: String?

  /// Creates the usual patience.
  public init() {}
}

/// Saves the states of a run, one at a time, while training goes on. It is used from the thread that trains.
final class StateSaver {
  /// Called with what the user should know while the run goes on.
  var onNotice: ((Message) -> Void)?
  var patience = SavePatience()
  /// Position of the newest state that is safe; nil before there is one.
  private(set) var saved: RunFolder.Position?
  /// Whether that state has other settings than the run has now, or damaged states are beside it.
  private var isOutdated: Bool
  /// Whether the next step is saved in any case.
  var isRequested = false

  private let folder: RunFolder
  private let lock: Folder.Lock
  private let configuration: RunConfiguration
  private let settings: RunFileSettings
  private let logs: [MetricsLog]
  /// States that are known to be damaged.
  private var damaged: [StateFile]
  /// Files that could not be written yet.
  private var files: [RunFile] = []
  /// A state on its way from the device. Its sums are settled when the losses of its steps have arrived.
  private var copying: (position: RunFolder.Position, copy: StateCopy, isSettled: Bool)?
  private var writing: BackgroundTask<SaveJob.Outcome>?
  private var failing: (since: ContinuousClock.Instant, last: ContinuousClock.Instant)?
  private var lastBegin = ContinuousClock.now
  /// Whether a failure to save has ended the run, so that another try has no use.
  private(set) var hasGivenUp = false
  /// Why lines of a log could not be written at the last try; nil if they could.
  private var logFailure: Failure?

  /// - Parameters:
  ///   - saved: the state that the run goes on from; nil for a new run.
  ///   - damaged: newer states, which are damaged.
  init(
    _ folder: RunFolder, _ lock: Folder.Lock, _ configuration: RunConfiguration, logs: [MetricsLog], saved: SavedState?,
    damaged: [StateFile]
  ) {
    (self.folder, self.lock, self.configuration, self.logs) = (folder, lock, configuration, logs)
    (self.saved, self.damaged) = (saved?.position, damaged)
    isOutdated = saved.map { $0.configuration != configuration || !damaged.isEmpty } ?? true
    settings = configuration.files ?? RunFileSettings()
  }

  /// Whether the state at a position is safe, with the settings of the run.
  func isSafe(_ position: RunFolder.Position) -> Bool { position == saved && !isOutdated }

  // MARK: In the background

  /// Whether a state is due after a step, and no other is on its way.
  func isDue(after step: Int) -> Bool {
    if case .steps(let count) = settings.saveEvery, step % count == 0 { isRequested = true }
    guard copying == nil, writing == nil else { return false }
    if let failing { return (ContinuousClock.now - failing.last).seconds >= patience.interval }
    guard case .seconds(let seconds) = settings.saveEvery else { return isRequested }
    return isRequested || (ContinuousClock.now - lastBegin).seconds >= Double(seconds)
  }

  /// Starts to save a state after everything that is enqueued on the device.
  /// - Parameter isSettled: whether all losses of its steps have arrived; otherwise ``settle(_:)`` tells their sums.
  /// - Throws: errors of the backend.
  /// - Precondition: no other state is on its way.
  func begin(_ position: RunFolder.Position, _ state: RunFolder.State, isSettled: Bool = false) throws {
    precondition(copying == nil && writing == nil, "[StateSaver] a second state on its way")
    (lastBegin, isRequested) = (.now, false)
    copying = (position, try StateCopy(of: state), isSettled)
  }

  /// Number of steps of the state whose sums are not known yet; nil if there is none.
  var awaitedStep: Int? { copying.flatMap { $0.isSettled ? nil : $0.position.step } }

  /// Tells the sums of the state that is on its way.
  func settle(_ sums: RunFolder.Position) {
    guard let (position, copy, _) = copying else { return }
    var settled = sums
    (settled.step, settled.updates) = (position.step, position.updates)
    copying = (settled, copy, true)
  }

  /// Writes the state once it has arrived, and takes the result of the writing. Never waits.
  /// - Throws: ``Failure`` if the run cannot go on; errors of the backend.
  func advance() throws {
    if let (position, copy, isSettled) = copying, isSettled, copy.isReady {
      copying = nil
      let job = try job(position, copy.wait())
      writing = BackgroundTask { job.run() }
    }
    guard let outcome = writing?.result else { return }
    writing = nil
    try take(outcome)
  }

  /// Waits until no state is on its way.
  /// - Throws: the errors of ``advance()``.
  /// - Precondition: the sums of the state are settled.
  func finish() throws {
    if let (position, copy, isSettled) = copying {
      precondition(isSettled, "[StateSaver] a state without its sums")
      copying = nil
      try take(job(position, copy.wait()).run())
    } else if let task = writing {
      writing = nil
      try take(task.wait())
    }
  }

  /// Waits until nothing is written any more, whatever comes of it.
  func abandon() {
    copying = nil
    _ = writing?.wait()
    writing = nil
  }

  // MARK: At once

  /// Writes files and a state now, if they are not written yet. A failure of the disk is told, and the next save tries again.
  /// - Parameters:
  ///   - files: files to write before the state, in place of earlier ones of the same paths.
  ///   - isAsked: whether the user asked for this, so that a failure is told although others were told before.
  /// - Returns: whether everything is written.
  /// - Throws: the errors of ``advance()``.
  @discardableResult
  func save(
    _ position: RunFolder.Position, _ state: RunFolder.State, _ files: [RunFile] = [], isAsked: Bool = false
  ) throws -> Bool {
    try finish()
    add(files)
    (lastBegin, isRequested) = (.now, false)
    let outcome = try job(position, try isSafe(position) ? nil : StateCopy(of: state).wait()).run()
    try take(outcome, isAsked: isAsked)
    return outcome.failure == nil && logFailure == nil
  }

  /// Writes files and a state.
  /// - Parameter pausing: whether to try several times, with pauses.
  /// - Throws: ``Failure`` if that does not succeed; errors of the backend.
  func saveAtEnd(
    _ position: RunFolder.Position, _ state: RunFolder.State, _ files: [RunFile] = [], pausing: Bool = true
  ) throws {
    try finish()
    add(files)
    let copy = try isSafe(position) ? nil : StateCopy(of: state).wait()
    for pause in (pausing ? patience.pauses : []).map(Optional.some) + [nil] {
      if isSafe(position), self.files.isEmpty, logs.allSatisfy(\.isWritten) { return }
      let outcome = try job(position, copy).run()
      guard let failure = outcome.failure ?? logFailure, isPassing(failure), let pause else {
        if let copy, let failure = outcome.failure { try takeRefuge(position, copy, outcome, after: failure) }
        return try take(outcome, endingAt: position)
      }
      try take(outcome)
      usleep(UInt32(pause * 1e6))
    }
  }

  // MARK: Parts

  private func add(_ more: [RunFile]) { files = files.filter { old in !more.contains { $0.path == old.path } } + more }

  /// Writes the lines of the logs that are left, and returns what is to be written after them.
  private func job(_ position: RunFolder.Position, _ state: HostState?) throws -> SaveJob {
    logFailure = nil
    for log in logs {
      do { try log.flush() } catch let failure as Failure { logFailure = failure }
    }
    let pending = files
    files = []
    return SaveJob(
      folder: folder, lock: lock, files: pending,
      snapshot: state.map { StateSnapshot(position: position, configuration: configuration, state: $0) }, logs: logs.map(\.file),
      keeping: settings.keepStates, damaged: damaged)
  }

  /// Whether a failure may pass: that of a full disk, for example.
  private func isPassing(_ failure: Failure) -> Bool { [.inputOutput, .notFound].contains(failure.kind) }

  /// Saves the last state, and the files and lines that belong to it, in another place, if there is one.
  /// - Throws: ``Failure`` that tells the place, if that has succeeded.
  private func takeRefuge(
    _ position: RunFolder.Position, _ state: HostState, _ outcome: SaveJob.Outcome, after failure: Failure
  ) throws {
    guard let place = patience.refuge, isPassing(failure), position.step > saved?.step ?? 0 else { return }
    let texts = logs.filter { !$0.isWritten }.compactMap(\.whole)
    let snapshot = StateSnapshot(position: position, configuration: configuration, state: state)
    guard let path = Refuge.save(snapshot, outcome.rest + texts, in: place) else { return }
    hasGivenUp = true
    throw Failure(
      failure.kind, "\(failure): the state of step \(position.step) is in \(path) instead",
      remedy: "make room, move all files from there to \(folder.path), and go on by \(Setting.resume)")
  }

  /// Takes the result of a job.
  /// - Parameters:
  ///   - end: position at which the run ends, so that a failure loses the steps since the last state; nil if it goes on.
  ///   - isAsked: whether a failure is told although others were told before.
  private func take(
    _ outcome: SaveJob.Outcome, endingAt end: RunFolder.Position? = nil, isAsked: Bool = false
  ) throws {
    files = outcome.rest.filter { old in !files.contains { $0.path == old.path } } + files
    if let position = outcome.saved { (saved, damaged, isOutdated) = (position, [], false) }
    guard let failure = outcome.failure ?? logFailure else {
      if failing != nil { onNotice?("the state is saved again, at step \(saved?.step ?? 0)") }
      failing = nil
      return
    }
    // The run itself finds out that it has diverged. Its last whole state stays.
    if failure.kind == .diverged, end == nil {
      onNotice?("the state is not saved: \(failure)")
      return
    }
    let since = failing?.since ?? .now
    if end != nil || !isPassing(failure) || (ContinuousClock.now - since).seconds >= patience.limit {
      // A place of refuge may take what the folder does not.
      hasGivenUp = end != nil || !isPassing(failure) || patience.refuge == nil
      let lost = (end?.step ?? 0) - (saved?.step ?? 0)
      guard lost > 0 else { throw failure }
      throw Failure(
        failure.kind, "\(failure): the last \(lost) steps are lost, as the newest state is of step \(saved?.step ?? 0)")
    }
    if failing == nil || isAsked {
      let what: Message = outcome.lacksState ? "the state is not saved" : "the state is saved, but not all other files are"
      onNotice?("\(what): \(failure); training goes on, and tries again every \(Int(patience.interval)) seconds")
    }
    failing = (since, .now)
  }
}
