import ArgumentParser
import Foundation
import Glibc
import Support
import Synchronization

/// Turns signals into requests, which the work in progress polls, so that it can save its state first.
///
/// The signals are blocked in all threads, and one thread takes them. So they interrupt no system call, and nothing that this
/// thread does is limited to what a signal handler may do. A compiler inside a driver may set handlers of its own, some of which
/// lose the signal; they are never called.
enum Signals {
  /// Signals that ask to stop.
  private static let stops = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGUSR2]
  /// Signal that asks to save and to go on.
  private static let save = SIGUSR1
  /// Time within which a second signal counts as the first: a caller may send one to the process and to its group.
  private static let oneRequest = Duration.seconds(1)

  private static let received = Atomic<Int32>(0)
  private static let wantsSave = Atomic(false)

  /// Signal that asked to stop first; nil if there was none.
  static var pending: Int32? {
    let signal = received.load(ordering: .relaxed)
    return signal == 0 ? nil : signal
  }

  /// Exit code after the pending signal, as shells define it.
  static var exitCode: ExitCode { ExitCode(128 + (pending ?? 0)) }

  /// Returns whether a signal has asked to save since the last call.
  static func takeSaveRequest() -> Bool {
    wantsSave.load(ordering: .relaxed) && wantsSave.exchange(false, ordering: .relaxed)
  }

  /// Lets all signals through that a caller has left blocked, as a program inherits this.
  static func unblock() {
    var blocked = set(stops + [save, SIGPIPE])
    pthread_sigmask(SIG_UNBLOCK, &blocked, nil)
  }

  /// Takes all signals from here on, and lets threads of their own write the output. Call it before other threads are made, as
  /// they inherit which signals are blocked.
  static func catchAll() {
    _ = pending  // The atomic must exist before a handler can use it.
    // `nohup` has set hang-ups to be ignored.
    var taken = set((stops + [save]).filter { $0 != SIGHUP || !isIgnored($0) })
    pthread_sigmask(SIG_BLOCK, &taken, nil)
    // SIGPIPE means that the reader of the output has gone; everything printed from here on is lost. It comes to the thread that
    // writes.
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { number in _ = Signals.begin(number) }
    action.sa_flags = SA_RESTART
    sigaction(SIGPIPE, &action, nil)
    StandardStreams.detach()
    let thread = WorkerThread { [taken] in
      Thread.current.name = "signals"
      take(taken)
    }
    // Without a thread that takes them, signals have their usual effects.
    guard let thread else { return unblock() }
    thread.detach()
  }

  /// Takes one signal after the other. A second request to stop ends the process at once.
  private static func take(_ signals: sigset_t) -> Never {
    var signals = signals
    var first: ContinuousClock.Instant?
    while true {
      var number: Int32 = 0
      guard sigwait(&signals, &number) == 0 else { continue }
      let now = ContinuousClock.now
      if number == save {
        wantsSave.store(true, ordering: .relaxed)
      } else if let first {
        // The system repeats SIGXCPU after each second of processor time.
        if number != SIGXCPU && now - first >= oneRequest { _exit(128 + number) }
      } else {
        first = now
        _ = begin(number)
        StandardStreams.hurry()
      }
    }
  }

  /// Records a request to stop, unless there is one.
  private static func begin(_ number: Int32) -> Bool {
    received.compareExchange(expected: 0, desired: number, ordering: .relaxed).exchanged
  }

  private static func set(_ numbers: [Int32]) -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    return set
  }

  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }
}
